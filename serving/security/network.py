"""Which addresses and ports the service may listen on."""

import errno
import ipaddress
import socket
from collections.abc import Mapping

from configs.errors import Busy, ConfigError, RequestError
from serving.security.api_keys import KeyCache


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return address == "localhost"


def require_own_site(headers: Mapping[bytes, bytes]) -> None:
    """Raise RequestError if a web page of another site could have sent a request.

    A browser on this machine sends what any page asks for, also to a name that the page's owner points here (DNS
    rebinding). So the `Host` must be a name of this machine, and the `Origin`, which only browsers send, the same host.
    """
    host = headers.get(b"host", b"").decode("latin-1")
    origin = headers.get(b"origin", b"").decode("latin-1")
    if not is_loopback(_without_port(host)):
        hint = "Use localhost, or create a key with `oarlock keys create`."
        raise RequestError(f"'{host[:100]}' is not a name of this machine.", hint, code="wrong_host", status=403)
    if origin and origin.partition("://")[2] != host:
        hint = "Create a key with `oarlock keys create`, and send it."
        raise RequestError("Without a key no other site is answered.", hint, code="cross_site", status=403)


def _without_port(host: str) -> str:
    """The address in a `Host` header; the brackets of an IPv6 address stay."""
    return host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host


def require_key_for_public_host(host: str, key_cache: KeyCache) -> None:
    """Raise ConfigError if other machines could reach the service and no key exists."""
    if is_loopback(host):
        return
    key_cache.refresh()
    if not key_cache.keys():
        raise ConfigError(
            f"Other machines can reach {host}, and there is no API key yet.",
            "Create one first: `oarlock keys create --name crm --scope score`.",
        )


def require_free_port(host: str, port: int) -> None:
    """Raise Busy if the port is in use, ConfigError if the address cannot be bound."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host.strip("[]"), port), family=family).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            message = f"Cannot bind {host}:{port}: the port is in use."
            raise Busy(message, "Stop the other process or pass --port.") from None
        raise ConfigError(f"Cannot bind {host}:{port}: {error.strerror}.", "Pass another --host.") from None
