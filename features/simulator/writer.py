"""`simulate`: write a company to a folder of Parquet, block by block, complete or visibly unfinished.

FOLDER/company.json                          parameters and row counts; company.unfinished.json until all is there
FOLDER/<table of the contract>/part-*.parquet
FOLDER/truth/hazards/part-*.parquet          account_id, day, hazard, logit_<part>: while the account is undecided
FOLDER/truth/risks/part-*.parquet            account_id, as_of, churn_<horizon>, error_<horizon>, decided,
                                             logit_<part> on that day, ahead_<part> on average of the next 90
FOLDER/truth/accounts/part-*.parquet         account_id, hidden traits, churned_at, failed_card
"""

import json
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from configs.errors import ConfigError
from features.simulator.model.parameters import Company, as_json
from features.simulator.shard import TABLES, blocks_of, tables_of_block

FINISHED = "company.json"
UNFINISHED = "company.unfinished.json"
GROUP_ROWS = 65_536  # few weeks of usage: who asks for some days is spared the others


def simulate(
    company: Company, folder: Path, *, workers: int = 1, progress: Callable[[int, int], None] | None = None
) -> dict[str, int]:
    """Write all tables of the company and its truth below `folder`; return the rows of each table.

    Equal companies give equal bytes, whatever `workers` is and however often the work was interrupted: blocks that
    are complete are kept. `progress` is told how many blocks of how many are done.
    """
    folder = Path(folder)
    _claim(folder, company)
    blocks = blocks_of(company)
    for done, _ in enumerate(_written(company, folder, workers=workers), start=1):
        if progress:
            progress(done, blocks)
    rows = {table: _rows(folder, table, blocks=blocks) for table in TABLES}
    _write_text(folder / FINISHED, {"company": as_json(company), "rows": rows})
    (folder / UNFINISHED).unlink(missing_ok=True)
    return rows


def _claim(folder: Path, company: Company) -> None:
    """Mark the folder as this company's, unfinished; refuse one that holds anything else."""
    folder.mkdir(parents=True, exist_ok=True)
    marks = [folder / name for name in (FINISHED, UNFINISHED) if (folder / name).exists()]
    if any(_told(mark) != json.loads(json.dumps(as_json(company))) for mark in marks):
        raise ConfigError(f"{folder} holds another company.", "Choose an empty folder or the same parameters.")
    if not marks and any(path.suffix != ".partial" for path in folder.iterdir()):
        raise ConfigError(f"{folder} is not empty and holds no simulated company.", "Choose an empty folder.")
    if not marks:
        _write_text(folder / UNFINISHED, {"company": as_json(company)})


def _told(mark: Path) -> object:
    """The parameters a mark tells of, None where it is no mark of ours."""
    try:
        told = json.loads(mark.read_text())
    except json.JSONDecodeError:
        return None
    return told.get("company") if isinstance(told, dict) else None


def _written(company: Company, folder: Path, *, workers: int) -> Iterator[int]:
    """Write the blocks, in as many processes as there are workers, and tell each one that is done."""
    blocks = range(blocks_of(company))
    if workers == 1:
        yield from (_write_block(company, folder, block=block) for block in blocks)
        return
    fresh = multiprocessing.get_context("spawn")  # forking a process that has started threads may deadlock
    with ProcessPoolExecutor(workers, mp_context=fresh) as pool:
        tasks = [pool.submit(_write_block, company, folder, block=block) for block in blocks]
        yield from (task.result() for task in as_completed(tasks))


def _write_block(company: Company, folder: Path, *, block: int) -> int:
    if all(_part(folder, table, block=block).exists() for table in TABLES):
        return block
    for name, table in tables_of_block(company, block):
        _write_table(_part(folder, name, block=block), table)
    return block


def _rows(folder: Path, table: str, *, blocks: int) -> int:
    return sum(pq.read_metadata(_part(folder, table, block=block)).num_rows for block in range(blocks))


def _part(folder: Path, table: str, *, block: int) -> Path:
    return folder / table / f"part-{block:05d}.parquet"


def _write_table(path: Path, table: pa.Table) -> None:
    """A part appears whole or not at all; readers see plain text columns, not the dictionaries they were made from."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    pq.write_table(table, unfinished, compression="zstd", store_schema=False, row_group_size=GROUP_ROWS)
    unfinished.replace(path)


def _write_text(path: Path, content: dict) -> None:
    unfinished = path.with_suffix(".partial")
    unfinished.write_text(json.dumps(content, indent=2) + "\n")
    unfinished.replace(path)
