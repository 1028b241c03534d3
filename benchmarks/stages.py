"""Where the microseconds of POST /v1/score go: processor time of each stage of a request, of 1, 100 and 1,000 accounts.

    python benchmarks/stages.py COMPANY FOLDER

COMPANY and FOLDER are those of `benchmarks/service.py`. Stages are timed one by one in this process; what the service
takes for the same requests beyond their sum is HTTP, access, metrics and the log.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table

from benchmarks.load import measure, serving
from benchmarks.served import accounts, made
from configs.settings import LedgerSettings, read_settings
from configs.state import open_state
from serving.engine import Engine, Found
from serving.ledger import Ledger
from serving.requests import ScoreRequest
from serving.scoring import score
from serving.settling import settle
from serving.writer import LedgerWriter
from serving.written import text_of

SIZES = (1, 100, 1_000)
ACCOUNTS = 20_000  # so many are scored for each figure
DRIVERS = 3
REST = "HTTP, access, metrics, log"


def main() -> None:
    """Time the stages, then the service, and print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("company", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    config = made(asked.company, asked.folder)
    settings = read_settings(config)
    state = open_state(settings)
    everyone = accounts(state)
    engine = Engine(settings, state, lambda: datetime(2026, 7, 1))
    settle()
    found = {size: _stages(engine, everyone[:size]) for size in SIZES}
    for size, whole in _served(config, everyone, asked.seconds).items():
        found[size][REST] = whole - sum(found[size].values())
    print(json.dumps(found, indent=1)) if asked.json else _show(found)


def _stages(engine: Engine, ids: list[str]) -> dict[str, float]:
    """Microseconds of a request for these accounts, by stage."""
    times = ACCOUNTS // len(ids) // 10 + 1
    body = json.dumps({"account_ids": ids, "drivers": DRIVERS}).encode()
    found = engine.found(ids)
    reply = engine.told(found, DRIVERS)
    parts = [dict(one) for one in reply["scores"]]
    told = _microseconds(lambda: engine.told(found, DRIVERS), times)
    written = _microseconds(lambda: [orjson.dumps(one) for one in parts], times)
    journal, database = _ledger(engine, found, reply, times)
    contributions = _microseconds(lambda: found.scores.model.contributions(found.scores.matrix, 1), times)
    return {
        "the request read": _microseconds(lambda: ScoreRequest.model_validate_json(body), times),
        "signals from the store": _microseconds(lambda: engine.look_up(ids), times),
        "driver kernel": contributions,
        "matrix, calibration": _microseconds(lambda: score(found.scores.model, found.signals.values), times)
        - contributions,
        "words and statuses": told - written,
        "JSON": written + _microseconds(lambda: text_of(reply), times),
        "journal": journal,
        "the ledger's database, behind the reply": database,
    }


def _ledger(engine: Engine, found: Found, reply: dict, times: int) -> tuple[float, float]:
    """Microseconds of recording a reply in the journal, and of writing it from there to the database."""
    with tempfile.TemporaryDirectory() as scratch:
        settings = LedgerSettings(most_waiting_bytes=2**34)
        engine.writer = LedgerWriter(Ledger(Path(scratch) / "ledger.db"), Path(scratch), settings, engine.clock)
        journal = _microseconds(lambda: engine.record(found.champion, reply["scores"], "benchmark"), times)
        began = time.process_time()
        engine.writer.start()
        engine.writer.close(60)
        return journal, (time.process_time() - began) * 1e6 / (2 * times)


def _microseconds(work: Callable[[], object], times: int) -> float:
    """Processor microseconds of one call, after as many that are not counted."""
    for _ in range(times):
        work()
    began = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - began) * 1e6 / times


def _served(config: Path, everyone: list[str], seconds: float) -> dict[int, float]:
    """Processor microseconds that the whole service takes for a request of each size."""
    found = {}
    words = ["oarlock.py", "--config", str(config), "serve", "--port={port}"]
    with serving(words, {"OARLOCK_CONFIG": str(config)}) as service:
        for size in SIZES:
            bodies = [{"account_ids": everyone[:size], "drivers": DRIVERS}]
            measure(service, "/v1/score", bodies, 1, 1.0)  # what is built at first use is not what is measured
            found[size] = measure(service, "/v1/score", bodies, 1, seconds).cpu_ms * 1000
    return found


def _show(found: dict[int, dict[str, float]]) -> None:
    table = Table("stage", *(f"{size:,} accounts" for size in SIZES), title="processor microseconds a request")
    for stage in found[SIZES[0]]:
        table.add_row(stage, *(f"{found[size][stage]:,.0f}" for size in SIZES))
    table.add_section()
    table.add_row("all", *(f"{sum(found[size].values()):,.0f}" for size in SIZES))
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
