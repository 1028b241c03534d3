"""Own signals from the settings to a driver; the test's name completes the sentence "it ..."."""

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from configs.settings_file import read_settings
from configs.state_dir import open_state_dir
from features.own_signals.own_catalogue import open_catalogue
from features.publishing.consistency_check import compare_stores
from features.publishing.pipeline import PublishRequest, publish
from features.store.history import published_history
from tests.support.companies.growing_company import ACCOUNTS, TODAY, Company
from tests.support.paths import ROOT
from tests.support.progress import ignore_progress
from tests.support.trained_model import EXTRACT_END, QUICK_EVALUATION

SIGNALS = """
[training]
num_iterations = 60
[evaluation]
backtest_folds = 1
ablation_snapshots = 0
[stability]
refits = 2

[signals]
per_event_kind = 3
exclude = ["segment", "days_since_event"]

[signals.families.product_fit]
sentence = "How well the product fits what the account does."

[[signals.events]]
name = "meetings"
event = ["meeting", "schedule_meeting"]
windows = [28, 91]
measures = ["count", "trend", "share", "days_since", "users"]
family = "product_fit"
direction = -1

[[signals.attributes]]
name = "first_plan"
kind = "category"
label = "first plan"
family = "product_fit"
"""
PLAY = """
[[play]]
name = "review_fit"
families = ["product_fit"]
action = "Ask what the product is missing."
assignee_role = "csm"
"""


def _with_event_kinds(company: Company, kinds: int) -> Company:
    """The company with signals of so many kinds of events."""
    signals = company.settings.signals.model_copy(update={"per_event_kind": kinds})
    return Company(company.folder, company.settings.model_copy(update={"signals": signals}), company.state)


def _add_use(company: Company, event: str, quantity: float) -> None:
    day = TODAY - timedelta(days=1)
    rows = [
        {"account_id": account_id, "event": event, "occurred_at": day, "quantity": quantity} for account_id in ACCOUNTS
    ]
    schema = pq.read_schema(company.folder / "usage/07.parquet")
    pq.write_table(pa.Table.from_pylist(rows, schema), company.folder / f"usage/{event}.parquet")


def test_the_kinds_with_signals_of_their_own_are_chosen_once(published_company: Company):
    company = _with_event_kinds(published_company, 1)
    publish(company.settings, company.state, PublishRequest(TODAY), ignore_progress)
    before, _ = published_history(company.state, open_catalogue(company.settings, company.state).signals)
    assert {"kind_login_28d", "kind_login_trend_91d"} <= {signal.name for signal in before.signals}

    _add_use(company, "search", quantity=10_000.0)
    publish(company.settings, company.state, PublishRequest(TODAY + timedelta(days=1)), ignore_progress)
    after, _ = published_history(company.state, open_catalogue(company.settings, company.state).signals)
    assert after.folder == before.folder


def test_more_kinds_are_chosen_anew(published_company: Company):
    _add_use(published_company, "search", quantity=10_000.0)
    names = []
    for count in (1, 2):
        company = _with_event_kinds(published_company, count)
        publish(company.settings, company.state, PublishRequest(TODAY), ignore_progress)
        names.append(
            sorted(s.name for s in open_catalogue(company.settings, company.state).signals if "kind_" in s.name)
        )
    assert (len(names[0]), len(names[1])) == (5, 10)


def _write_company(folder: Path) -> Path:
    """The shipped extract with an account column of its own, and a playbook for the own family."""
    mapping = (ROOT / "configs/datasets/crm5.toml").read_text()
    mapping = mapping.replace('folder = "crm5"', f'folder = "{ROOT}/configs/datasets/crm5"')
    mapping = mapping.replace("as segment,", "as segment, first_plan,")
    mapping = mapping.replace(
        "min(start_date) as created_at,", "min(start_date) as created_at, min(product) as first_plan,"
    )
    (folder / "mapping.toml").write_text(mapping)
    (folder / "playbook.toml").write_text((ROOT / "configs/playbook.toml").read_text() + PLAY)
    config = (ROOT / "configs/crm5.toml").read_text().replace("../.oarlock", "state")
    config = config.replace("datasets/crm5.toml", "mapping.toml")
    (folder / "crm5.toml").write_text(f'playbook = "playbook.toml"\n{config}{SIGNALS}')
    return folder / "crm5.toml"


@pytest.mark.slow
def test_an_own_signal_is_published_trained_on_and_a_driver(tmp_path: Path, oarlock, monkeypatch):
    for name, value in QUICK_EVALUATION.items():
        monkeypatch.setenv(name, value)
    config = _write_company(tmp_path)
    steps = (("validate",), ("publish",), ("train",), ("promote", "--force", "--reason", "a test"))
    for arguments in steps:
        result = oarlock(*arguments, config=config)
        assert result.code == 0, result.err + result.out
    settings = read_settings(config)
    history, as_of = published_history(
        open_state_dir(settings), open_catalogue(settings, open_state_dir(settings)).signals
    )
    assert as_of == EXTRACT_END
    assert [signal.name for signal in history.families["product_fit"]][:2] == ["meetings_28d", "meetings_91d"]
    assert compare_stores(settings, open_state_dir(settings), max_accounts=200).differences == ()
    scores = oarlock("score", "--all", "--json", config=config)
    assert '"product_fit"' in scores.out
