"""A client that openapi-python-client generates from the OpenAPI document works with a running service.

The generator has an environment of its own, which `make test-client` installs. Without it the test is skipped.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from configs.clock import now
from serving.ledger.ledger import Ledger
from serving.security.api_keys import create_key, save_key
from tests.support.paths import ROOT
from tests.support.service_process import run_service
from tests.support.trained_model import TrainedModel

ENVIRONMENT = ROOT / ".venv-client" / "bin"
CALLS = ROOT / "tests" / "support" / "generated_client_calls.py"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not ENVIRONMENT.exists(), reason="`make test-client` installs the generator"),
]


def run(*command: object) -> str:
    """The output of a command that must not fail; the generator formats with the ruff beside it."""
    variables = os.environ | {"PATH": f"{ENVIRONMENT}{os.pathsep}{os.environ['PATH']}"}
    arguments = [str(part) for part in command]
    result = subprocess.run(arguments, capture_output=True, text=True, check=False, env=variables)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_a_generated_client_scores_explains_lists_and_gives_feedback(trained: TrainedModel, tmp_path: Path):
    ledger = f"sqlite:///{tmp_path}/ledger.db"
    secret, key = create_key("client", ("score", "read", "feedback"), 600, now())
    save_key(Ledger(ledger).engine, key)
    with run_service(trained.config, OARLOCK_LEDGER__URL=ledger) as service:
        document, package = tmp_path / "openapi.json", tmp_path / "oarlock_client"
        document.write_text(service.client.get("/v1/openapi.json", headers={"x-api-key": secret}).text)
        generate = ("generate", "--path", document, "--meta", "none", "--output-path", package, "--fail-on-warning")
        run(ENVIRONMENT / "openapi-python-client", *generate)
        address = str(service.client.base_url.join("/v1"))
        answers = json.loads(run(ENVIRONMENT / "python", CALLS, tmp_path, address, secret))
    riskiest, (risk, explained_risk) = answers["riskiest"], answers["risks"]
    assert answers["accounts"] == answers["total"] > 200
    assert (answers["scored"], answers["not_scored"]) == (riskiest, ["unknown_account"])
    assert 0 < risk == explained_risk < 1
    assert answers["history"] == [risk]
    assert answers["families"]
    assert answers["as_of"] == "2023-07-01T00:00:00+00:00"
    assert answers["feedback"] == [riskiest, "right"]
    assert answers["error"] == [404, "unknown_account"]
    assert answers["version"] == 1
