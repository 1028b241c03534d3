"""The scope of every request, read from the endpoints."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from re import Pattern

from starlette.routing import BaseRoute

from configs.errors import ConfigError
from serving.api.endpoint import Endpoint
from serving.schemas.enums import Scope

ScopeByMethod = Mapping[str, Scope]


@dataclass(frozen=True)
class ScopeTable:
    """The scopes of the endpoints under a prefix, and of `others`: paths that something else answers."""

    endpoints: tuple[Endpoint, ...]
    prefix: str
    others: Mapping[str, Scope]

    def scope_of(self, method: str, path: str) -> Scope | None:
        """The scope that a request needs; None means any key, for a path under the prefix that is not served.

        A path elsewhere that is not in the table needs the scope admin.
        """
        if path in self.others:
            return self.others[path]
        if not path.startswith(f"{self.prefix}/"):
            return "admin"
        scopes = self._find(path.removeprefix(self.prefix))
        return scopes.get(method) or next(iter(scopes.values()), None)

    def limits_rows(self, method: str, path: str) -> bool:
        """Whether a key that is limited to an owner's accounts may send a request.

        It may where an endpoint promises to read these rows only, where everyone may, and where nothing is.
        """
        if path in self.others:
            return self.others[path] == "public"
        routes = [route for route in self.endpoints if route.path_regex.match(path.removeprefix(self.prefix))]
        matching = [route for route in routes if method in (route.methods or ())]
        return all(route.limits_rows or route.scope == "public" for route in matching or routes)

    def serves(self, path: str) -> bool:
        """Whether a path is one of the service's."""
        return path in self.others or bool(self._find(path.removeprefix(self.prefix)))

    def _find(self, path: str) -> ScopeByMethod:
        if path in self._by_path:
            return self._by_path[path]
        return next((scopes for pattern, scopes in self._by_pattern if pattern.match(path)), {})

    @cached_property
    def _by_path(self) -> Mapping[str, ScopeByMethod]:
        return {route.path: _scopes(route) for route in self.endpoints if not route.param_convertors}

    @cached_property
    def _by_pattern(self) -> list[tuple[Pattern[str], ScopeByMethod]]:
        return [(route.path_regex, _scopes(route)) for route in self.endpoints if route.param_convertors]


def require_scopes(routes: Iterable[BaseRoute]) -> tuple[Endpoint, ...]:
    """The routes, all of which are endpoints; raises ConfigError for one that declares no scope."""
    endpoints: list[Endpoint] = []
    for route in routes:
        if not isinstance(route, Endpoint):
            raise ConfigError(f"{route} declares no scope.", "Make it with @endpoint(..., scope=...).")
        endpoints.append(route)
    return tuple(endpoints)


def _scopes(route: Endpoint) -> ScopeByMethod:
    if route.method == "GET":
        return {"GET": route.scope, "HEAD": route.scope}
    return {route.method: route.scope}
