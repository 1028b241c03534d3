"""Replicas on machines of their own, behind the shipped nginx: no request fails while versions and machines change.

The machines are network namespaces. They share Postgres, Redis and an MLflow server, and nothing else.
"""

import json
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
import sqlalchemy as sql

from serving.ledger.database import open_database
from serving.ledger.schema import FEEDBACK, RISKS
from tests.support.outages.commands import preloaded
from tests.support.replicas.clients import ClientRecord, ProxyClients
from tests.support.replicas.company import ReplicatedCompany, run_replicated_company
from tests.support.replicas.machines import Machine, machine_network
from tests.support.replicas.proxy import Nginx
from tests.support.service_process import RunningService, wait_until

pytestmark = pytest.mark.outages
LOAD_SECONDS, SCORING_CLIENTS = 60, 4
SCORED, REPORTED = slice(0, 6), slice(10, 60)
THRESHOLDS = {1: (0.04, 0.08, 0.16), 2: (0.05, 0.1, 0.2)}
BANDS = ("low", "watch", "high", "critical")


@dataclass(frozen=True)
class LoadedReplicas:
    """Replicas that were promoted to, rolled back, killed and added under load, and what their clients saw."""

    company: ReplicatedCompany
    proxy: Nginx
    clients: ClientRecord
    killed: Machine


@pytest.fixture(scope="module")
def loaded() -> Iterator[LoadedReplicas]:
    """Three replicas; under load a version is promoted, a replica killed, another one added, and the version undone."""
    with ExitStack() as stack:
        stack.enter_context(preloaded({}))
        network = stack.enter_context(machine_network())
        company = stack.enter_context(run_replicated_company(network))
        key = company.create_key()
        first, second, third, added = (network.add_machine(number) for number in (1, 2, 3, 4))
        with ThreadPoolExecutor() as threads:
            services = list(threads.map(company.serve_on, (first, second, third)))
        (company.folder / "proxy").mkdir()
        addresses = [machine.address for machine in (first, second, third)]
        proxy = Nginx(company.folder / "proxy", network.host, addresses)
        stack.callback(proxy.stop)
        proxy.start()
        account_ids = _list_accounts(proxy, key)
        clients = ProxyClients(proxy, key, account_ids[SCORED], account_ids[REPORTED])
        ends = time.monotonic() + LOAD_SECONDS
        with clients.running(SCORING_CLIENTS) as record:
            time.sleep(3)
            company.run("promote", "2", "--force", "--reason", "other bands")
            _wait_for_version(services, key, 2)
            services.pop().kill_all()
            services.append(company.serve_on(added))
            proxy.add(added.address)
            time.sleep(3)
            company.run("rollback", "--reason", "the old bands")
            _wait_for_version(services, key, 1)
            time.sleep(max(3.0, ends - time.monotonic()))
        _print_figures(record, proxy)
        yield LoadedReplicas(company, proxy, record, third)


def _list_accounts(proxy: Nginx, key: str) -> list[str]:
    with proxy.open_client(key) as client:
        wait_until(lambda: client.get("/v1/accounts").status_code == 200)
        listed = client.get("/v1/accounts?limit=100").json()["accounts"]
    return [account["account_id"] for account in listed]


def _wait_for_version(services: list[RunningService], key: str, version: int) -> None:
    headers = {"authorization": f"Bearer {key}"}
    for service in services:
        wait_until(lambda s=service: s.client.get("/v1/model", headers=headers).json()["version"] == version)


def _print_figures(record: ClientRecord, proxy: Nginx) -> None:
    """Show what `pytest -s` shows, and what the documentation says of such a run."""
    by_version = {version: sum(record.scores[body] for body in bodies) for version, bodies in _bodies(record).items()}
    print(  # noqa: T201 - for those who ask
        f"\n{len(record.milliseconds)} requests, {len(record.failures)} failed; scores by version: {by_version}; "
        f"{len(record.feedback)} feedback, {record.feedback_resent} of them sent again; {record.listings} listings; "
        f"slowest {max(record.milliseconds):.0f} ms; {proxy.resent()} sent to a second replica by nginx; "
        f"{record.connections_lost} connections closed by a reload"
    )


def _bodies(record: ClientRecord) -> dict[int, list[bytes]]:
    """The replies with scores that differ, by the version that they name."""
    bodies: dict[int, list[bytes]] = defaultdict(list)
    for body in record.scores:
        bodies[json.loads(body)["model"]["version"]].append(body)
    return bodies


def test_no_request_fails(loaded: LoadedReplicas):
    assert loaded.clients.failures == []
    assert len(loaded.clients.scored) > 10 * LOAD_SECONDS
    assert loaded.clients.listings > LOAD_SECONDS
    assert loaded.clients.connections_lost <= SCORING_CLIENTS + 2
    assert len(set(loaded.proxy.answered_by().values())) == 4


def test_no_reply_mixes_versions(loaded: LoadedReplicas):
    bodies = _bodies(loaded.clients)
    assert {version: len(different) for version, different in bodies.items()} == {1: 1, 2: 1}
    for version, (body,) in bodies.items():
        scores = json.loads(body)["scores"]
        assert [score["band"] for score in scores] == [_band(score["risk"], version) for score in scores]


def _band(risk: float, version: int) -> str:
    return BANDS[sum(risk >= threshold for threshold in THRESHOLDS[version])]


def test_every_acknowledged_risk_is_in_the_ledger(loaded: LoadedReplicas):
    answered_by = loaded.proxy.answered_by()
    by_killed = {request for request in loaded.clients.scored if answered_by[request] == loaded.killed.address}
    assert by_killed
    wait_until(lambda: _not_in_ledger(loaded) <= by_killed)
    loaded.company.serve_on(loaded.killed)
    wait_until(lambda: not _not_in_ledger(loaded))


def _not_in_ledger(loaded: LoadedReplicas) -> set[str]:
    with open_database(loaded.company.ledger).connect() as connection:
        return loaded.clients.scored - set(connection.execute(sql.select(RISKS.c.request_id).distinct()).scalars())


def test_feedback_counts_once(loaded: LoadedReplicas):
    with open_database(loaded.company.ledger).connect() as connection:
        notes = list(connection.execute(sql.select(FEEDBACK.c.note)).scalars())
    assert len(notes) > LOAD_SECONDS
    assert sorted(notes) == sorted(loaded.clients.feedback)
