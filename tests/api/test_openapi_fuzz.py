"""Schemathesis sends requests that the OpenAPI document allows or forbids: no response is a server error."""

from contextlib import suppress

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Mount

from serving.api.errors import handle_error
from serving.api.middleware.request_id import RequestIdMiddleware
from serving.app import PREFIX, create_app
from tests.support.api_client import ApiClient

pytestmark = pytest.mark.slow
BOUNDED = settings(
    max_examples=40,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    phases=[Phase.explicit, Phase.generate],
)


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_request_causes_a_server_error(api_client: ApiClient, mode):
    api = RequestIdMiddleware(create_app(lambda: api_client.context))
    # A mount does not match a path with a line break, so the outer app answers it.
    mounted = Starlette(routes=[Mount(PREFIX, api)], exception_handlers={HTTPException: handle_error})
    schema = schemathesis.openapi.from_asgi(f"{PREFIX}/openapi.json", mounted)
    requested, statuses = set(), set()
    for result in schema.get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()

        @BOUNDED
        @given(operation.as_strategy(generation_mode=mode))
        def check_response(case):
            response = case.call()
            requested.add((case.method, case.path))
            statuses.add(response.status_code)
            assert response.status_code < 500, f"{case.as_curl_command()}: {response.text}"
            if response.status_code >= 400:
                assert set(response.json()["error"]) == {"code", "message", "hint"}

        # A route without parameters has no invalid request.
        with suppress(Unsatisfiable):
            check_response()
    assert len(requested) >= (13 if mode is GenerationMode.POSITIVE else 9)
    assert statuses >= ({200, 404} if mode is GenerationMode.POSITIVE else {422})
