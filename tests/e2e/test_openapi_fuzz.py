"""Schemathesis sends a running service what its OpenAPI document allows and forbids, single requests and sequences.

No response is a server error, and each has a documented status, headers and body. FUZZ_EXAMPLES is how many requests of
each kind it sends to a route; `make test-fuzz` sends more than 10,000 in all, and prints how many of each kind.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from configs.clock import now
from serving.ledger.ledger import Ledger
from serving.security.api_keys import create_key, save_key
from tests.support.service_process import run_service, wait_until
from tests.support.trained_model import TrainedModel

pytestmark = pytest.mark.slow
EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "5")
PHASES = ("examples,coverage,fuzzing", "stateful")
# A body with more items than a list may have can be too large as a whole.
SETTINGS = """
[checks]
negative_data_rejection.expected-statuses = ["4xx", "5xx"]
"""
# The schema cannot say everything: ids are in Unicode's normal form, and a past day cannot be filtered by segment.
WITH_KEY = ("--checks", "all", "--exclude-checks", "positive_data_acceptance")
# The document asks for a key, which this machine does not need before the first is created.
WITHOUT_KEY = ("--checks", "all", "--exclude-checks", ",".join((
    "positive_data_acceptance", "negative_data_rejection", "missing_required_header", "ignored_auth",
)))  # fmt: skip


def fuzz(address: str, folder: Path, *options: str) -> int:
    """Run Schemathesis, and return how many requests it sent; fails with its report if it finds anything."""
    (folder / "schemathesis.toml").write_text(SETTINGS)
    runner = (sys.executable, "-m", "schemathesis.cli", "run", f"{address}v1/openapi.json")
    limits = ("--max-examples", EXAMPLES, "--seed", "1", "--continue-on-failure", "--suppress-health-check", "all")
    report = ("--report", "json", "--report-json-path", "report.json")
    command = [*runner, *limits, *report, *options]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    outcome = json.loads((folder / "report.json").read_text())
    assert outcome["complete"], outcome
    return outcome["test_cases"]["generated"]


@pytest.mark.parametrize("has_key", [True, False], ids=["keys", "no keys"])
def test_no_request_causes_an_undocumented_response(trained: TrainedModel, tmp_path: Path, capsys, has_key: bool):
    ledger, options = f"sqlite:///{tmp_path}/ledger.db", WITHOUT_KEY
    if has_key:
        secret, key = create_key("fuzz", ("score", "read", "feedback"), 1_000_000, now())
        save_key(Ledger(ledger).engine, key)
        options = (*WITH_KEY, "--header", f"Authorization: Bearer {secret}")
    with run_service(
        trained.config, OARLOCK_LEDGER__URL=ledger, OARLOCK_SERVING__REQUEST_TIMEOUT_SECONDS="60"
    ) as service:
        wait_until(lambda: service.client.get("/v1/ready").status_code == 200)
        address = str(service.client.base_url.join("/"))
        counts = {phases: fuzz(address, tmp_path, "--phases", phases, *options) for phases in PHASES}
    assert all(counts.values()), counts
    with capsys.disabled():
        sys.stdout.write(f"{'with' if has_key else 'without'} a key, requests by phases: {counts}\n")
