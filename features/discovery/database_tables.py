"""The tables and views of a Postgres database as sources: those of its search path that the role may read."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import ValidationError

from configs.errors import ConfigError, DataError
from configs.validation import describe_validation_error
from features.compute.backends.spill_folder import SPILL
from features.discovery.source_files import FileGroup, source_name, unique_names
from features.ingestion.copies.postgres import copy_tables, open_snapshot
from features.tables.mapping import SourceMapping

TABLES = """
    select nspname || '.' || relname from pg_class join pg_namespace on pg_namespace.oid = relnamespace
    where relkind in ('r', 'p', 'v', 'm', 'f') and not relispartition and nspname = any(current_schemas(false))
      and strpos(relname, '.') = 0 and has_table_privilege(pg_class.oid, 'select')
    order by 1
"""
COPIED = "database"


@dataclass(frozen=True)
class DatabaseAddress:
    """A Postgres database, and the environment variable with its password."""

    url: str
    password_env: str | None = None

    @property
    def name(self) -> str:
        """The name of the database."""
        return unquote(urlsplit(self.url).path.strip("/"))

    def table(self, name: str) -> SourceMapping:
        """A table of it as a source. Raises ConfigError for an address that is not usable, or holds a password."""
        try:
            return SourceMapping(database=self.url, password_env=self.password_env, table=name)
        except ValidationError as error:
            reason = describe_validation_error(error)
            raise ConfigError(f"The address of the database: {reason}.", "Pass --password-env NAME.") from None


def group_tables(address: DatabaseAddress, scratch: Path) -> list[FileGroup]:
    """A source for each table, with a copy of its rows. Raises ConfigError, NotReady, and DataError without a table."""
    address.table("any")
    with open_snapshot(address.url, address.password_env) as connection:
        tables = [str(table) for (table,) in connection.execute(TABLES).fetchall()]
    if not tables:
        hint = "Does the role have the right to read them? Other schemas go into the URL: ?options=-csearch_path%3DNAME"
        raise DataError(f"{address.url} has no table that can be read.", hint)
    groups = unique_names(FileGroup(source_name(name.partition(".")[2]), "", (), table=name) for name in tables)
    sources = {group.name: address.table(group.table or "") for group in groups}
    folder = scratch / COPIED
    folder.mkdir()
    copy_tables(sources, folder, scratch / SPILL)
    return [
        FileGroup(name, "", (folder / name / f"{name}.csv",), table=source.table, mapping=source)
        for name, source in sources.items()
    ]
