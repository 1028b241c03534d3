"""What a publication is in Redis: its keys, the bytes of its rows, and the steps that replace the one before.

    <prefix>:published                      which generation is online, and the note of its publication
    <prefix>:row:<generation>:<account>     a hash with a field per view: as_of, the packed numbers, the categories
    <prefix>:tables:<generation>            a hash with the files of the account table and the revenue table
    <prefix>:departed                       a hash: accounts that were online before, and as of when

A publication writes a generation of its own beside the one that is read, and one write makes it the one that is read.
Then the others are removed, so that each live account has a row and no other has. All keys expire.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from pydantic import TypeAdapter, ValidationError

from configs.errors import NotReady
from configs.state_dir import StateDir
from features.store.publication import Publication

if TYPE_CHECKING:
    from redis import Redis

SECONDS_BYTES = NUMBER_BYTES = 8
ROWS_PER_CALL = 500
DAY_SECONDS = 86_400
SPARE_DAYS = 1  # rows are kept longer than the pointer to them, so that no account is missing while it is read
Cell = tuple[int | None, bytes | None, str | None]  # as_of in seconds, packed numbers, categories as JSON
MISSING: Cell = (None, None, None)
Item = TypeVar("Item")


@dataclass(frozen=True)
class PublishedGeneration:
    """What the pointer names: the generation of the rows, and the note of the publication."""

    generation: str
    publication: Publication


@dataclass(frozen=True)
class RedisKeys:
    """The names of the keys of one state folder."""

    prefix: str

    @property
    def published(self) -> str:
        return f"{self.prefix}:published"

    @property
    def departed(self) -> str:
        return f"{self.prefix}:departed"

    def rows(self, generation: str) -> bytes:
        """What the keys of a generation's rows begin with."""
        return f"{self.prefix}:row:{generation}:".encode()

    def row(self, generation: str, account_id: str) -> bytes:
        return self.rows(generation) + encode_id(account_id)

    def account_of(self, row: bytes) -> bytes:
        """The account of a row, of whatever generation."""
        return row.removeprefix(self.rows("")[:-1]).partition(b":")[2]

    def tables(self, generation: str) -> str:
        return f"{self.prefix}:tables:{generation}"


def keys_of(state: StateDir) -> RedisKeys:
    """The keys of a state folder; several may share a server."""
    return RedisKeys(state.online_prefix)


def fetch_pointer(client: "Redis", keys: RedisKeys) -> bytes | None:
    """The content of the pointer now; None if nothing is published, or it expired."""
    content = client.get(keys.published)
    assert content is None or isinstance(content, bytes)  # the client decodes nothing
    return content


def read_pointer(content: bytes | None) -> PublishedGeneration:
    """What is online, from the content of the pointer; raises NotReady without one, ValueError if it is damaged."""
    if content is None:
        raise NotReady("Nothing is published in Redis, or it expired.", "Run `oarlock publish`.")
    return TypeAdapter(PublishedGeneration).validate_json(content)


def parse_pointer(content: bytes | None) -> PublishedGeneration | None:
    """What is online; None if nothing is, or if the pointer is damaged and has to be written anew."""
    try:
        return read_pointer(content)
    except (NotReady, ValidationError):
        return None


def encode_id(account_id: str) -> bytes:
    """An account's id as bytes, whatever characters it has."""
    return account_id.encode("utf-8", "surrogatepass")


def pack_cell(as_of: int, numbers: bytes, categories: str | None) -> bytes:
    """The values of one account and view."""
    return as_of.to_bytes(SECONDS_BYTES, "little", signed=True) + numbers + (categories or "").encode()


def unpack_cell(cell: bytes | None, numbers: int) -> Cell:
    """As it was packed, with so many numbers; raises ValueError for a cell that is cut short."""
    if cell is None:
        return MISSING
    end = SECONDS_BYTES + numbers * NUMBER_BYTES
    if len(cell) < end:
        raise ValueError(f"a row of {len(cell)} bytes where {end} or more were written")
    as_of = int.from_bytes(cell[:SECONDS_BYTES], "little", signed=True)
    return as_of, cell[SECONDS_BYTES:end], cell[end:].decode() or None


def row_seconds(expire_days: int) -> int:
    """How long rows are stored of which the pointer expires after so many days."""
    return (expire_days + SPARE_DAYS) * DAY_SECONDS


def write_cells(client: "Redis", cells: Iterable[tuple[bytes, str, bytes]], expire_seconds: int) -> None:
    """Write cells (key, field, cell). A row and its expiry are one step, so that none is left without."""
    for chunk in chunks(cells, ROWS_PER_CALL):
        with client.pipeline(transaction=True) as pipe:
            for key, field, cell in chunk:
                pipe.hset(key, field, cell)
                pipe.expire(key, expire_seconds)
            pipe.execute()


def chunks(items: Iterable[Item], size: int) -> Iterator[Sequence[Item]]:
    """The items in lists of at most `size`."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
