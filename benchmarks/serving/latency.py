"""The service against the one that one would write first: the same model, store and machine, one run.

    python benchmarks/serving/latency.py COMPANY FOLDER

COMPANY is a simulated company of at least 2,000 accounts, FOLDER takes the state that is made of it once. N0 builds
shap's explainer in every request, N1 once. CPU is that of all the service's processes, measured while a second process
sends requests over loopback; the load of other programs moves requests per second, much less the CPU.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.serving.fixtures import MODEL_SIZES, accounts, make_service_folder
from benchmarks.serving.load_generator import Figures, measure, serving
from configs.settings_file import read_settings
from configs.state_dir import open_state_dir

OURS = "oarlock"
SERVICES = {
    "N0": (["-m", "bentoml", "serve", "benchmarks.serving.naive_service:Naive", "--port={port}"], "/score"),
    "N1": (["-m", "bentoml", "serve", "benchmarks.serving.naive_service:Naive", "--port={port}"], "/score"),
    OURS: (["oarlock.py", "--config", "{config}", "serve", "--port={port}"], "/v1/score"),
}
# Accounts a request, clients at once.
LOADS = ((1, 1), (1, 8), (100, 1), (1000, 1))


def main() -> None:
    """Make what is served, load each service in turn, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("company", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--services", nargs="+", choices=SERVICES, default=list(SERVICES))
    parser.add_argument("--model", nargs="+", choices=MODEL_SIZES, default=list(MODEL_SIZES))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    for size in arguments.model:
        config = make_service_folder(arguments.company, arguments.folder, size)
        everyone = accounts(open_state_dir(read_settings(config)))
        results = {name: _load(name, config, everyone, arguments.seconds) for name in arguments.services}
        print(_json(size, results)) if arguments.json else _show(size, results)


def _json(size: str, results: dict[str, dict[tuple[int, int], Figures]]) -> str:
    services = {name: {str(load): asdict(figure) for load, figure in each.items()} for name, each in results.items()}
    return json.dumps({"model": size, "services": services})


def _load(name: str, config: Path, everyone: list[str], seconds: float) -> dict[tuple[int, int], Figures]:
    command, path = SERVICES[name]
    environment = {"OARLOCK_CONFIG": str(config), "NAIVE_EXPLAINER": "each" if name == "N0" else "once"}
    figures = {}
    with serving([argument.replace("{config}", str(config)) for argument in command], environment) as service:
        for accounts, clients in LOADS:
            bodies = [
                {"account_ids": everyone[start : start + accounts], "drivers": 3}
                for start in range(0, min(len(everyone) - accounts, 200 * accounts) + 1, accounts)
            ]
            measure(service, path, bodies, clients, 1.0)  # what is built at first use is not what is measured
            figures[accounts, clients] = measure(service, path, bodies, clients, seconds)
            print(name, accounts, clients, figures[accounts, clients], flush=True)
    return figures


def _show(size: str, results: dict[str, dict[tuple[int, int], Figures]]) -> None:
    measures = "CPU ms a request, requests a second, p50 and p99 in ms, worker memory in MB"
    table = Table(title=f"Model of {size} size: {measures}")
    for column in ("accounts", "clients", "service", "CPU ms", "ratio", "req/s", "ratio", "p50", "p99", "failed", "MB"):
        table.add_column(column, justify="right")
    for load in LOADS:
        oarlock = results.get(OURS, next(iter(results.values())))[load]
        for name, figures in results.items():
            service_figures = figures[load]
            table.add_row(
                *map(str, load),
                name,
                f"{service_figures.cpu_ms:.2f}",
                f"{service_figures.cpu_ms / oarlock.cpu_ms:.1f}",
                f"{service_figures.per_second:.1f}",
                f"{oarlock.per_second / service_figures.per_second:.1f}",
                f"{service_figures.p50_ms:.1f}",
                f"{service_figures.p99_ms:.1f}",
                str(service_figures.failed),
                f"{service_figures.worker_mb:.0f}",
            )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
