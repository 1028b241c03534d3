"""Saved views in the ledger's database, SQLite or Postgres: whose they are, who sees them, and how many fit."""

from collections.abc import Iterator
from datetime import datetime

import pytest
import sqlalchemy as sql

from configs.errors import RequestError
from serving.ledger.database import migrate
from serving.ledger.ledger import Ledger
from serving.ledger.saved_views import (
    MAX_VIEWS,
    ViewDraft,
    Viewer,
    add_view,
    change_view,
    delete_view,
    erase_views_of,
    find_default,
    read_views,
)
from serving.ledger.schema import HEAD_REVISION, SAVED_VIEWS

AT = datetime(2024, 1, 1)
ADA, KIM, LIMITED = Viewer("ada"), Viewer("kim"), Viewer("lim", owner="Chloe")


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request, tmp_path) -> Iterator[sql.Engine]:
    """An empty ledger on each kind of database."""
    location = tmp_path / "ledger.db" if request.param == "sqlite" else request.getfixturevalue("postgres")
    ledger = Ledger(location)
    yield ledger.engine
    ledger.engine.dispose()


def names(engine: sql.Engine, viewer: Viewer) -> list[str]:
    return [view.name for view in read_views(engine, viewer)]


def test_a_view_is_seen_by_its_key_and_by_everyone_if_it_is_shared(engine: sql.Engine):
    add_view(engine, ADA, ViewDraft("mine", "band=high"), AT)
    add_view(engine, ADA, ViewDraft("Ours", "sort=mrr", is_shared=True), AT)
    assert (names(engine, ADA), names(engine, KIM)) == (["mine", "Ours"], ["Ours"])


def test_a_limited_key_sees_no_view_that_may_name_accounts_of_others(engine: sql.Engine):
    add_view(engine, ADA, ViewDraft("of grace", "owner=grace", is_shared=True), AT)
    add_view(engine, LIMITED, ViewDraft("of chloe", "q=north", is_shared=True), AT)
    assert names(engine, Viewer("other", owner="Chloe")) == ["of chloe"]
    assert names(engine, Viewer("another", owner="Grace")) == []
    assert names(engine, KIM) == ["of chloe", "of grace"]


def test_one_view_of_a_key_is_the_default(engine: sql.Engine):
    first = add_view(engine, ADA, ViewDraft("first", "", is_default=True), AT)
    second = add_view(engine, ADA, ViewDraft("second", "", is_shared=True, is_default=True), AT)
    views = read_views(engine, ADA)
    assert [view.id for view in views if view.is_default] == [second]
    assert find_default(read_views(engine, KIM), KIM) is None
    change_view(engine, views[0], {"is_default": True})
    default = find_default(read_views(engine, ADA), ADA)
    assert default is not None
    assert default.id == first


def test_a_name_is_taken_once_by_each_key(engine: sql.Engine):
    add_view(engine, ADA, ViewDraft("calls", ""), AT)
    add_view(engine, KIM, ViewDraft("calls", ""), AT)
    add_view(engine, ADA, ViewDraft("quiet", ""), AT)
    with pytest.raises(RequestError, match="There is a view 'calls' already"):
        add_view(engine, ADA, ViewDraft("calls", ""), AT)
    with pytest.raises(RequestError, match="There is a view 'calls' already"):
        change_view(engine, read_views(engine, ADA)[1], {"name": "calls"})
    assert names(engine, ADA) == ["calls", "quiet"]


def test_a_key_has_so_many_views_and_no_more(engine: sql.Engine):
    for number in range(MAX_VIEWS):
        add_view(engine, ADA, ViewDraft(f"view {number}", ""), AT)
    with pytest.raises(RequestError, match="You have 30 views already"):
        add_view(engine, ADA, ViewDraft("one more", ""), AT)
    delete_view(engine, read_views(engine, ADA)[0].id)
    add_view(engine, ADA, ViewDraft("one more", ""), AT)
    assert len(names(engine, ADA)) == MAX_VIEWS


def test_erasing_an_account_erases_the_views_that_name_it(engine: sql.Engine):
    for draft in (ViewDraft("a", "q=A+1"), ViewDraft("A 1", ""), ViewDraft("b", "q=A+11"), ViewDraft("c", "owner=A+1")):
        add_view(engine, ADA, draft, AT)
    assert erase_views_of(engine, "A 1") == 2
    assert names(engine, ADA) == ["b", "c"]


def test_the_table_goes_and_comes_back_with_its_migration(engine: sql.Engine):
    add_view(engine, ADA, ViewDraft("mine", ""), AT)
    with engine.begin() as connection:
        migrate(connection, "0009")
        assert not sql.inspect(connection).has_table(SAVED_VIEWS.name)
    with engine.begin() as connection:
        migrate(connection, HEAD_REVISION)
    assert names(engine, ADA) == []
