"""Every outage meets every operation: it has the answer that the documentation promises, and nothing is lost.

A service runs throughout and is never started again. `WRITE_OUTAGES=1` writes the table of the documentation
from what this test sees.
"""

import os
from collections.abc import Iterator

import pytest

from tests.support.outages.faults import FAULTS
from tests.support.outages.operations import OPERATIONS, Outcome, feedback
from tests.support.outages.page import Cell, read_promises, write_promises
from tests.support.outages.standard_company import COMMAND_SECONDS, StandardCompany, run_standard_company
from tests.support.service_process import wait_until

pytestmark = pytest.mark.outages
WRITES = "WRITE_OUTAGES" in os.environ
REQUEST_SECONDS = 6
LIMITS = {"score": REQUEST_SECONDS, "feedback": REQUEST_SECONDS}


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandardCompany]:
    """A company on `standard`, on which every operation was done once without an outage."""
    with run_standard_company(tmp_path_factory.mktemp("standard")) as running:
        for name, operate in OPERATIONS.items():
            outcome = operate(running)
            assert outcome.is_done, outcome
            running.usual_seconds[name] = outcome.seconds
        yield running


@pytest.fixture(scope="module")
def outcomes() -> Iterator[dict[Cell, Outcome]]:
    """What was seen; it may be written into the documentation."""
    seen: dict[Cell, Outcome] = {}
    yield seen
    if WRITES:
        write_promises(seen)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("fault", FAULTS)
def test_an_outage_has_the_promised_answer_and_loses_nothing(
    company: StandardCompany, outcomes: dict[Cell, Outcome], fault: str, operation: str
):
    operate, service = OPERATIONS[operation], company.service.process.pid
    with FAULTS[fault](company):
        outcome = outcomes[fault, operation] = operate(company)
    if not outcome.is_done:
        wait_until(lambda: operate(company).is_done)
    wait_until(lambda: company.service.client.get("/readyz").status_code == 200 and feedback(company).is_done)
    assert company.lost() == set()
    if operation in {"train", "promote"}:
        assert company.lost_versions() == set()
    assert company.service.process.pid == service
    assert company.service.process.is_running()
    assert not outcome.is_broken, outcome
    assert outcome.seconds < LIMITS.get(operation, COMMAND_SECONDS)
    if not WRITES:
        assert (outcome.answer, outcome.sentence) == read_promises()[fault, operation]
