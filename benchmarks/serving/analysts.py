"""Analysts who click through the pages of a running service, at rest and while a day is published.

    python -m benchmarks.serving.analysts CONFIG --publish-as-of DAY
        [--analysts 20] [--pause 3] [--seconds 60] [--json]

CONFIG is the settings file of a company that has a champion and a published day before DAY. Every analyst waits for a
page, reads it for some seconds (exponential, `--pause` on average), and asks for the next one: mostly the portfolio
with a filter and an order of rows, else an account, its what-if, a work list or the disagreement board. What is
published is published as an operator would have it, with less priority than the service.
"""

import argparse
import http.client
import json
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from html import unescape
from pathlib import Path
from urllib.parse import quote, urlencode

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.serving.fixtures import accounts
from benchmarks.serving.load_generator import ROOT, serving
from benchmarks.serving.topology_answers import wait_for_portfolio
from configs.settings_file import read_settings
from configs.state_dir import open_state_dir
from serving.schemas.page_queries import SORTS

NICE = 10
AFTER_PUBLISH_SECONDS = 30  # the risks of all accounts are computed anew then
WARMUP_VISITS = 50
KILOBYTE = 1e3
SELECT = re.compile(r'<select name="(\w+)">(.*?)</select>', re.DOTALL)
OPTION = re.compile(r'<option(?: value="([^"]+)")?(?: selected)?>([^<]+)')
# How many of a hundred visits go to each page.
PAGES = {"portfolio": 50, "account": 30, "what-if": 5, "work list": 10, "disagreements": 5}


@dataclass(frozen=True)
class Visit:
    """A page that was asked for: what came back, after how long, and how large it was on the wire."""

    page: str
    status: int
    ms: float
    kilobytes: float


@dataclass(frozen=True)
class Figures:
    """The visits of one page in one phase."""

    phase: str
    page: str
    visits: int
    failed: int
    median_ms: float
    p99_ms: float
    largest_kb: float


@dataclass(frozen=True)
class Site:
    """What there is to click on: the choices of the portfolio's filters by name, and the accounts."""

    choices: Mapping[str, Sequence[str]]
    account_ids: Sequence[str]

    def next_address(self, chance: random.Random) -> tuple[str, str]:
        """A page and an address of it, drawn at random."""
        (page,) = chance.choices(list(PAGES), list(PAGES.values()))
        account = f"/accounts/{quote(chance.choice(self.account_ids), safe='')}"
        owner = urlencode({"owner": chance.choice(self.choices["owner"])})
        addresses = {
            "portfolio": f"/?{self._filter(chance)}",
            "account": account,
            "what-if": f"{account}/what-if",
            "work list": f"/work-list?{owner}",
            "disagreements": "/disagreements",
        }
        return page, addresses[page]

    def _filter(self, chance: random.Random) -> str:
        names = chance.sample(sorted(self.choices), chance.randint(0, 2))
        query = {name: chance.choice(self.choices[name]) for name in names}
        if chance.random() < 0.2:
            query["q"] = chance.choice(self.account_ids)[-3:]
        return urlencode({**query, "sort": chance.choice(SORTS), "order": chance.choice(("asc", "desc"))})


def main() -> None:
    """Serve the company, have the analysts click, publish meanwhile, and print the figures of each page."""
    arguments = _parse()
    state = open_state_dir(read_settings(arguments.config))
    command = ["oarlock.py", "--config", str(arguments.config), "serve", "--port={port}"]
    with serving(command, {}) as (_, port):
        wait_for_portfolio(port)
        site = Site(_read_choices(port), accounts(state))
        with _clicking(port, site, arguments) as warmup:
            _wait_for(warmup, WARMUP_VISITS)
        with _clicking(port, site, arguments) as quiet:
            time.sleep(arguments.seconds)
        with _clicking(port, site, arguments) as busy:
            seconds = _publish(arguments)
            time.sleep(AFTER_PUBLISH_SECONDS)
    figures = [*_summarize("at rest", quiet), *_summarize("while a day is published", busy)]
    if arguments.json:
        report = {"accounts": len(site.account_ids), "publish_seconds": seconds, "pages": list(map(asdict, figures))}
        print(json.dumps(report, indent=1))
    else:
        _show(figures, f"{len(site.account_ids):,} accounts; the day took {seconds:.0f} s to publish")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Analysts who click through the pages of a running service.")
    parser.add_argument("config", type=Path)
    parser.add_argument("--publish-as-of", required=True)
    parser.add_argument("--analysts", type=int, default=20)
    parser.add_argument("--pause", type=float, default=3.0, help="seconds that an analyst reads a page, on average")
    parser.add_argument("--seconds", type=float, default=60.0, help="of the phase without a publish")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _read_choices(port: int) -> dict[str, list[str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/", headers={"accept": "text/html"})
    page = connection.getresponse().read().decode()
    choices = {
        name: [unescape(value or text) for value, text in OPTION.findall(options) if text != "any"]
        for name, options in SELECT.findall(page)
    }
    return {name: choices[name] for name in ("segment", "owner", "band", "family") if choices.get(name)}


@contextmanager
def _clicking(port: int, site: Site, arguments: argparse.Namespace) -> Iterator[list[Visit]]:
    """The visits of the analysts, who click until the block ends."""
    visits, stopping = list[Visit](), threading.Event()

    def click(number: int) -> None:
        chance = random.Random(number)
        while not stopping.wait(chance.expovariate(1 / arguments.pause)):
            visits.append(_visit(port, *site.next_address(chance)))

    threads = [threading.Thread(target=click, args=(number,)) for number in range(arguments.analysts)]
    for thread in threads:
        thread.start()
    try:
        yield visits
    finally:
        stopping.set()
        for thread in threads:
            thread.join()


def _visit(port: int, page: str, address: str) -> Visit:
    began = time.perf_counter()
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("GET", address, headers={"accept": "text/html", "accept-encoding": "gzip"})
        response = connection.getresponse()
        body = response.read()
    if response.status != http.client.OK:
        print(f"{address} answered {response.status}", file=sys.stderr, flush=True)
    return Visit(page, response.status, (time.perf_counter() - began) * 1000, len(body) / KILOBYTE)


def _wait_for(visits: Sequence[Visit], count: int) -> None:
    while len(visits) < count:
        time.sleep(0.1)


def _publish(arguments: argparse.Namespace) -> float:
    began = time.monotonic()
    command = [sys.executable, "oarlock.py", "--config", str(arguments.config), "publish"]
    subprocess.run(
        ["nice", "-n", str(NICE), *command, "--as-of", arguments.publish_as_of],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.monotonic() - began


def _summarize(phase: str, visits: Sequence[Visit]) -> Iterator[Figures]:
    for page in PAGES:
        of_page = [visit for visit in visits if visit.page == page]
        took = [visit.ms for visit in of_page]
        if of_page:
            yield Figures(
                phase=phase,
                page=page,
                visits=len(of_page),
                failed=sum(visit.status != http.client.OK for visit in of_page),
                median_ms=round(float(np.median(took)), 1),
                p99_ms=round(float(np.quantile(took, 0.99)), 1),
                largest_kb=round(max(visit.kilobytes for visit in of_page), 1),
            )


def _show(figures: Sequence[Figures], title: str) -> None:
    table = Table(title=title)
    for column in ("phase", "page", "visits", "failed", "median ms", "p99 ms", "largest kB"):
        table.add_column(column, justify="left" if column in ("phase", "page") else "right")
    for each in figures:
        table.add_row(*(f"{value:,}" if isinstance(value, int | float) else value for value in vars(each).values()))
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
