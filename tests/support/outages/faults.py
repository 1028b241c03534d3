"""The outages: each begins, and ends with everything as before."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from tests.support.outages.servers import Server
from tests.support.outages.standard_company import StandardCompany, upload_tables
from tests.support.small_disk import fill_disk

Fault = Callable[[StandardCompany], AbstractContextManager[None]]
HOUR = 3600


@contextmanager
def _killed(server: Server, restore: Callable[[Server], None] = Server.thaw) -> Iterator[None]:
    server.kill()
    try:
        yield
    finally:
        server.start()
        restore(server)


@contextmanager
def _frozen(server: Server) -> Iterator[None]:
    server.freeze()
    try:
        yield
    finally:
        server.thaw()


@contextmanager
def _full_disk(company: StandardCompany) -> Iterator[None]:
    filler = fill_disk(company.disk)
    try:
        yield
    finally:
        filler.unlink()


@contextmanager
def _killing(company: StandardCompany) -> Iterator[None]:
    company.is_killing = True
    try:
        yield
    finally:
        company.is_killing = False


FAULTS: Mapping[str, Fault] = {
    "Postgres is down": lambda company: _killed(company.servers.postgres),
    "Postgres does not answer": lambda company: _frozen(company.servers.postgres),
    "Redis is down": lambda company: _killed(company.servers.redis),
    "Redis does not answer": lambda company: _frozen(company.servers.redis),
    "MLflow's server is down": lambda company: _killed(company.servers.mlflow),
    "MLflow's server does not answer": lambda company: _frozen(company.servers.mlflow),
    "object storage is down": lambda company: _killed(company.servers.objects, upload_tables),
    "object storage does not answer": lambda company: _frozen(company.servers.objects),
    "the disk is full": _full_disk,
    "the clock is an hour ahead": lambda company: company.clock.shifted(HOUR),
    "the clock is an hour behind": lambda company: company.clock.shifted(-HOUR),
    "the process is killed": _killing,
}
