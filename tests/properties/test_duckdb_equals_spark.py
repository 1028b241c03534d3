"""Every signal has the same value on DuckDB and on Spark."""

import importlib.util
import math
import shutil
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from configs.errors import ConfigError, DataError
from configs.sections.publishing import DataSettings, EngineSettings
from features.compute.availability import available_signals
from features.compute.backends.connect import open_backend
from features.compute.compute import ComputeRequest, compile_signals, compute_signals
from features.ingestion.reader import cast_tables, open_tables, read_tables
from features.ingestion.validation import validate_tables
from features.publishing.source_profile import profile_sources
from features.signals.registry import catalogue
from features.tables.dataset import Dataset, read_dataset
from tests.support.companies.compiled_catalogue import with_inputs
from tests.support.companies.edge_case_company import ACCOUNTS, AS_OF, write_company

HAS_SPARK = importlib.util.find_spec("pyspark") is not None
needs_spark = pytest.mark.skipif(not (HAS_SPARK and shutil.which("java")), reason="pyspark or java is not installed")
DUCKDB = EngineSettings()
SPARK = EngineSettings(kind="spark", master="local[2]", options={"spark.sql.shuffle.partitions": "2"})
CLOSE = 1e-9
ACCOUNTS_IN_ORDER = sorted(ACCOUNTS)
Columns = dict[str, list]
MAPPING = """
name = "mapped"
[sources]
crm = "crm.csv"
deals = "deals.parquet"
[tables]
accounts = "select id::varchar as account_id, signed as created_at, country from crm"
subscriptions = '''
select id::varchar as account_id, id || '/' || signed::date as subscription_id,
       arg_min(price, signed) filter (id < 9) as mrr,
       coalesce(starts, signed::timestamp + interval 1 day) as started_at, signed as renews_at
from deals group by id, starts, signed
'''
"""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The company with edge cases, written once."""
    return read_dataset(DataSettings(dataset=write_company(tmp_path_factory.mktemp("company"))))


@pytest.fixture(scope="module")
def on_duckdb(dataset: Dataset) -> Columns:
    """Every signal of every account, computed by DuckDB."""
    return _signals(dataset, DUCKDB)


def _signals(dataset: Dataset, settings: EngineSettings) -> Columns:
    tables = cast_tables(read_tables(open_backend(settings, dataset), dataset))
    signals = available_signals(tables, catalogue(), dataset.mapping.people)
    return compute_signals(tables, signals, AS_OF).to_pyarrow().sort_by("account_id").to_pydict()


def _subscriptions(dataset: Dataset, settings: EngineSettings) -> list[dict]:
    folder = dataset.mapping_file.parent / "converted"
    table = cast_tables(open_tables(settings, dataset, folder).tables)["subscriptions"]
    return table.rows.select(*table.contract.columns).order_by("account_id").to_pyarrow().to_pylist()


def _differ(left: object, right: object) -> bool:
    if isinstance(left, float) and isinstance(right, float):
        return not math.isclose(left, right, rel_tol=CLOSE, abs_tol=0.0)
    return left != right


def _write_mapped_dataset(folder: Path) -> Dataset:
    """A data set of one CSV and one Parquet file, its instants in nanoseconds, mapped in DuckDB's SQL."""
    (folder / "crm.csv").write_text("id,signed,country\n1,2023-01-02 03:04:05,NL\n2,2023-02-03 00:00:00,\n")
    instants = pa.array([1672898828123456789, None], pa.int64()).cast(pa.timestamp("ns"))
    deals = {"id": [1, 2], "price": [10.5, 20.0], "starts": instants, "signed": pa.array([19400, 19500], pa.date32())}
    pq.write_table(pa.table(deals), folder / "deals.parquet")
    (folder / "mapped.toml").write_text(MAPPING)
    return read_dataset(DataSettings(dataset=folder / "mapped.toml"))


def test_the_company_obeys_the_contract(dataset: Dataset):
    assert validate_tables(dataset, read_tables(open_backend(DUCKDB, dataset), dataset)) == ()


def test_every_declared_signal_is_computed_for_every_account(on_duckdb: Columns):
    assert list(on_duckdb) == ["account_id", *(signal.name for signal in catalogue())]
    assert on_duckdb["account_id"] == sorted(ACCOUNTS)


def test_every_signal_has_a_value_for_some_account(on_duckdb: Columns):
    assert [name for name, values in on_duckdb.items() if all(value is None for value in values)] == []


@pytest.mark.parametrize(
    ("settings", "families"),
    [
        (DUCKDB, {"adoption", "contract"}),
        pytest.param(SPARK, {"contract"}, marks=[pytest.mark.slow, needs_spark]),  # Spark compiles each day's queries
    ],
)
def test_signals_compiled_for_days_equal_those_of_one_day(
    dataset: Dataset, settings: EngineSettings, families: set[str]
):
    backend = open_backend(settings, dataset)
    tables = cast_tables(read_tables(backend, dataset))
    names = tuple(signal for signal in catalogue() if signal.family in families and "seats" not in signal.name)
    days = [AS_OF, AS_OF - timedelta(days=40)]
    rows_on = compile_signals(backend, tables, ComputeRequest(with_inputs({signal.name for signal in names}), days))
    for as_of in days:
        expected = compute_signals(tables, with_inputs({signal.name for signal in names}), as_of).to_pyarrow()
        actual = rows_on(as_of).sort_by("account_id").to_pydict()
        for name, values in expected.sort_by("account_id").to_pydict().items():
            assert [pair for pair in zip(actual[name], values, strict=True) if _differ(*pair)] == []


def test_an_instant_that_is_not_midnight_is_refused(dataset: Dataset):
    backend = open_backend(DUCKDB, dataset)
    tables = cast_tables(read_tables(backend, dataset))
    noon = AS_OF + timedelta(hours=12)
    with pytest.raises(ValueError, match="is not midnight"):
        compute_signals(tables, with_inputs({"mrr"}), noon)
    with pytest.raises(ValueError, match="is not midnight"):
        compile_signals(backend, tables, ComputeRequest(with_inputs({"mrr"}), [noon]))


@pytest.mark.slow
@needs_spark
def test_spark_gives_the_same_values(dataset: Dataset, on_duckdb: Columns):
    on_spark = _signals(dataset, SPARK)
    pairs = {name: list(zip(ACCOUNTS_IN_ORDER, on_duckdb[name], on_spark[name], strict=True)) for name in on_duckdb}
    differences = {name: [row for row in values if _differ(*row[1:])] for name, values in pairs.items()}
    assert {name: rows for name, rows in differences.items() if rows} == {}


@pytest.mark.slow
@needs_spark
def test_spark_gives_the_same_validation_result(dataset: Dataset):
    assert validate_tables(dataset, read_tables(open_backend(SPARK, dataset), dataset)) == ()


@pytest.mark.slow
@needs_spark
def test_spark_reads_the_same_mapped_tables(tmp_path: Path):
    dataset = _write_mapped_dataset(tmp_path)
    first, second = _subscriptions(dataset, DUCKDB), _subscriptions(dataset, SPARK)
    assert first == second
    assert first[0]["started_at"].isoformat() == "2023-01-05T06:07:08.123456"


@pytest.mark.skipif(HAS_SPARK, reason="pyspark is installed")
def test_without_pyspark_the_error_names_the_package(dataset: Dataset):
    with pytest.raises(ConfigError, match=r"pip install '\.\[spark\]'"):
        open_backend(SPARK, dataset)


@pytest.mark.parametrize("settings", [DUCKDB, pytest.param(SPARK, marks=[pytest.mark.slow, needs_spark])])
def test_a_file_that_is_not_a_table_is_refused_by_name(dataset: Dataset, settings: EngineSettings, tmp_path: Path):
    broken = tmp_path / "usage.parquet"
    broken.write_bytes(b"not a table")
    with pytest.raises(DataError, match=r"Cannot read .*usage\.parquet"):
        open_backend(settings, dataset.model_copy(update={"files": {"usage": (broken,)}}))


@pytest.mark.parametrize("settings", [DUCKDB, pytest.param(SPARK, marks=[pytest.mark.slow, needs_spark])])
def test_a_failing_select_is_refused_by_its_table(dataset: Dataset, settings: EngineSettings):
    mapping = dataset.mapping.model_copy(update={"tables": {"usage": "select no_such_column from usage"}})
    wrong = dataset.model_copy(update={"mapping": mapping})
    with pytest.raises(ConfigError, match="the select of 'usage' fails"):
        read_tables(open_backend(settings, wrong), wrong)


@pytest.mark.parametrize(("kind", "option"), [("duckdb", {"master": "local"}), ("spark", {"threads": 2})])
def test_an_option_of_the_other_backend_is_refused(kind: str, option: dict):
    with pytest.raises(ValueError, match="has no effect"):
        EngineSettings.model_validate({"kind": kind, **option})


@pytest.mark.slow
@needs_spark
def test_spark_profiles_the_sources_as_duckdb_does(dataset: Dataset):
    on_duckdb, on_spark = (
        profile_sources(cast_tables(read_tables(open_backend(engine, dataset), dataset)), AS_OF)
        for engine in (DUCKDB, SPARK)
    )
    assert sum(week.rows for week in on_duckdb["invoices"]) > 0
    assert on_duckdb == on_spark
