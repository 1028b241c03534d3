"""Where the microseconds of POST /v1/score go: each stage of a request for 1, 100 and 1,000 accounts.

    python benchmarks/serving/request_profile.py COMPANY FOLDER

COMPANY and FOLDER are those of `benchmarks/serving/latency.py`. Stages are timed by the clock in this process, one
request after the other, on a machine that does nothing else; what the service takes of its processors for such requests
beyond their sum is HTTP, access, metrics and the log.
"""

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.serving.fixtures import accounts, make_service_folder
from benchmarks.serving.load_generator import measure, serving
from configs.sections.stores import LedgerSettings
from configs.settings_file import read_settings
from configs.state_dir import open_state_dir
from serving.gc_tuning import tune_garbage_collector
from serving.ledger.ledger import Ledger
from serving.ledger.writer import LedgerWriter
from serving.schemas.requests import ScoreRequest
from serving.schemas.serialization import to_json
from serving.scoring.scorer import ScoredAccounts, Scorer, open_scorer
from serving.scoring.scores import score_values
from serving.scoring.signal_lookup import fetch_signals

SIZES = (1, 100, 1_000)
ACCOUNTS = 20_000  # so many are scored for each figure
DRIVERS = 3
STAGES = (
    "the request read",
    "signals from the store",
    "driver kernel, calibration",
    "words, statuses, JSON",
    "journal",
    "the reply written",
)
REST = "HTTP, access, metrics, log"


def main() -> None:
    """Time the stages, then the service, and print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("company", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    config = make_service_folder(arguments.company, arguments.folder)
    settings = read_settings(config)
    state = open_state_dir(settings)
    everyone = accounts(state)
    scorer = open_scorer(settings, state, lambda: datetime(2026, 7, 1))
    tune_garbage_collector()
    profiles = {size: _stages(scorer, everyone, size) for size in SIZES}
    for size, seconds in _served(config, everyone, arguments.seconds).items():
        profiles[size][REST] = seconds - sum(profiles[size].values())
    print(json.dumps(profiles, indent=1)) if arguments.json else _show(profiles)


def _stages(scorer: Scorer, everyone: list[str], size: int) -> dict[str, float]:
    """Microseconds of a request for so many accounts, by stage: the median of requests for others each time."""
    with tempfile.TemporaryDirectory() as scratch:
        settings = LedgerSettings(max_backlog_bytes=2**34)
        writer = LedgerWriter(Ledger(Path(scratch) / "ledger.db"), Path(scratch), settings, scorer.clock)
        recorder = replace(scorer, ledger=writer)
        times = ACCOUNTS // size // 10 + 10
        took = [_request(recorder, _pick_accounts(everyone, size, number)) for number in range(times)]
        began = time.process_time()
        writer.start()
        writer.close(60)
        database = (time.process_time() - began) * 1e6 / times
    stages = {stage: statistics.median(sample[stage] for sample in took) for stage in took[0]}
    return {**stages, "the ledger's database, behind the reply": database}


def _request(scorer: Scorer, ids: list[str]) -> dict[str, float]:
    """Microseconds of each stage of one request: in the order of a real one, so that none finds its caches warm."""
    body, marks = json.dumps({"account_ids": ids, "drivers": DRIVERS}).encode(), [time.perf_counter()]

    def mark(done: Any) -> Any:
        marks.append(time.perf_counter())
        return done

    mark(ScoreRequest.model_validate_json(body))
    champion, signals = scorer.champions.champion(), mark(fetch_signals(scorer.signals, ids))
    scores = mark(score_values(champion.model, signals.values))
    reply = mark(scorer.to_response(ScoredAccounts(champion, signals, scores, {}), DRIVERS))
    mark(scorer.append_to_ledger(champion, reply["scores"], "benchmark", purpose="served"))
    mark(to_json(reply))
    return {stage: (end - start) * 1e6 for stage, (start, end) in zip(STAGES, pairwise(marks), strict=True)}


def _pick_accounts(everyone: list[str], size: int, number: int) -> list[str]:
    start = number * size % (len(everyone) - size)
    return everyone[start : start + size]


def _served(config: Path, everyone: list[str], seconds: float) -> dict[int, float]:
    """Processor microseconds that the whole service takes for a request of each size."""
    seconds_by_size = {}
    command = ["oarlock.py", "--config", str(config), "serve", "--port={port}"]
    with serving(command, {"OARLOCK_CONFIG": str(config)}) as service:
        for size in SIZES:
            batches = [_pick_accounts(everyone, size, number) for number in range(ACCOUNTS // size)]
            bodies = [{"account_ids": ids, "drivers": DRIVERS} for ids in batches]
            measure(service, "/v1/score", bodies, 1, 1.0)  # what is built at first use is not what is measured
            seconds_by_size[size] = measure(service, "/v1/score", bodies, 1, seconds).cpu_ms * 1000
    return seconds_by_size


def _show(profiles: dict[int, dict[str, float]]) -> None:
    table = Table("stage", *(f"{size:,} accounts" for size in SIZES), title="microseconds a request")
    for stage in profiles[SIZES[0]]:
        table.add_row(stage, *(f"{profiles[size][stage]:,.0f}" for size in SIZES))
    table.add_section()
    table.add_row("all", *(f"{sum(profiles[size].values()):,.0f}" for size in SIZES))
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
