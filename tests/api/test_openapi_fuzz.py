"""Whatever the OpenAPI allows, and much that it does not: schemathesis asks, and no answer is a 500."""

from contextlib import suppress

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.result import Ok

from serving.api.app import create_app

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
def test_no_request_breaks_it(office, mode):
    schema = schemathesis.openapi.from_asgi("/openapi.json", create_app(lambda: office.desk))
    asked = set()
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()

        @BOUNDED
        @given(operation.as_strategy(generation_mode=mode))
        def answers(case):
            reply = case.call()
            asked.add((case.method, case.path))
            assert reply.status_code < 500, f"{case.as_curl_command()}: {reply.text}"
            if reply.status_code >= 400:
                assert set(reply.json()["error"]) == {"code", "message", "hint"}

        # A route that asks nothing cannot be asked wrongly.
        with suppress(Unsatisfiable):
            answers()
    assert len(asked) >= (13 if mode is GenerationMode.POSITIVE else 9)
