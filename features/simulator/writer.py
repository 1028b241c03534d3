"""Writes a simulated company to a folder of Parquet files, shard by shard.

FOLDER/company.json                          parameters and row counts; company.unfinished.json until all is written
FOLDER/<table of the contract>/part-*.parquet
FOLDER/truth/hazards/part-*.parquet          account_id, day, hazard, logit_<part>: while the account is undecided
FOLDER/truth/risks/part-*.parquet            account_id, as_of, churn_<horizon>, error_<horizon>, decided,
                                             logit_<part> on that day, mean ahead_<part> of the next 90 days
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
from features.simulator.shard import TABLES, count_shards, simulate_shard

MANIFEST = "company.json"
UNFINISHED_MANIFEST = "company.unfinished.json"
ROW_GROUP_SIZE = 65_536  # a few weeks of usage, so that a query of some days skips the others


def write_company(
    company: Company, folder: Path, *, workers: int = 1, progress: Callable[[int, int], None] | None = None
) -> dict[str, int]:
    """Write all tables of the company and its ground truth below `folder`; return the row count of each table.

    Equal companies give equal bytes, for any number of `workers` and after any interruption: complete shards are
    reused. `progress` is called with the number of finished shards and of all shards.

    Raises ConfigError if the folder holds something else.
    """
    folder = Path(folder)
    _claim_folder(folder, company)
    shards = count_shards(company)
    for finished, _ in enumerate(_write_shards(company, folder, workers=workers), start=1):
        if progress:
            progress(finished, shards)
    rows = {table: _count_rows(folder, table, shards=shards) for table in TABLES}
    _write_manifest(folder / MANIFEST, {"company": as_json(company), "rows": rows})
    (folder / UNFINISHED_MANIFEST).unlink(missing_ok=True)
    return rows


def _claim_folder(folder: Path, company: Company) -> None:
    """Write the unfinished manifest, unless the folder holds this company already."""
    folder.mkdir(parents=True, exist_ok=True)
    manifests = [folder / name for name in (MANIFEST, UNFINISHED_MANIFEST) if (folder / name).exists()]
    if any(_read_parameters(manifest) != json.loads(json.dumps(as_json(company))) for manifest in manifests):
        raise ConfigError(f"{folder} holds another company.", "Choose an empty folder or the same parameters.")
    if not manifests and any(path.suffix != ".partial" for path in folder.iterdir()):
        raise ConfigError(f"{folder} is not empty and holds no simulated company.", "Choose an empty folder.")
    if not manifests:
        _write_manifest(folder / UNFINISHED_MANIFEST, {"company": as_json(company)})


def _read_parameters(manifest: Path) -> object:
    """The company's parameters, None if the file is not a manifest."""
    try:
        content = json.loads(manifest.read_text())
    except json.JSONDecodeError:
        return None
    return content.get("company") if isinstance(content, dict) else None


def _write_shards(company: Company, folder: Path, *, workers: int) -> Iterator[int]:
    """Write the shards in as many processes as there are workers; yield each finished shard."""
    shards = range(count_shards(company))
    if workers == 1:
        yield from (_write_shard(company, folder, shard=shard) for shard in shards)
        return
    spawn = multiprocessing.get_context("spawn")  # forking a process that has started threads may deadlock
    with ProcessPoolExecutor(workers, mp_context=spawn) as pool:
        tasks = [pool.submit(_write_shard, company, folder, shard=shard) for shard in shards]
        yield from (task.result() for task in as_completed(tasks))


def _write_shard(company: Company, folder: Path, *, shard: int) -> int:
    if all(_part_file(folder, table, shard=shard).exists() for table in TABLES):
        return shard
    for name, table in simulate_shard(company, shard):
        _write_table(_part_file(folder, name, shard=shard), table)
    return shard


def _count_rows(folder: Path, table: str, *, shards: int) -> int:
    return sum(pq.read_metadata(_part_file(folder, table, shard=shard)).num_rows for shard in range(shards))


def _part_file(folder: Path, table: str, *, shard: int) -> Path:
    return folder / table / f"part-{shard:05d}.parquet"


def _write_table(path: Path, table: pa.Table) -> None:
    """Write the file atomically, with plain text columns instead of dictionaries."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    pq.write_table(table, unfinished, compression="zstd", store_schema=False, row_group_size=ROW_GROUP_SIZE)
    unfinished.replace(path)


def _write_manifest(path: Path, content: dict) -> None:
    unfinished = path.with_suffix(".partial")
    unfinished.write_text(json.dumps(content, indent=2) + "\n")
    unfinished.replace(path)
