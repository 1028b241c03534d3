"""What the mapping of the shipped extract says is what its files say."""

from configs.settings_file import read_settings
from features.ingestion.reader import cast_tables, open_tables
from features.tables.dataset import read_dataset
from tests.support.paths import ROOT


def test_prices_of_crm5_are_taken_as_they_are_after_discount(tmp_path):
    settings = read_settings(ROOT / "configs/crm5.toml")
    opened = open_tables(settings.engine, read_dataset(settings.data), tmp_path / "converted")
    rows = cast_tables(opened.tables)["subscriptions"].rows
    plans = rows.filter(rows.plan == "starter_mthly").select("discount", "mrr").distinct().to_pandas()
    assert len(plans) > 5
    assert (plans.mrr - 100 * (1 - plans.discount)).abs().max() < 1e-9
