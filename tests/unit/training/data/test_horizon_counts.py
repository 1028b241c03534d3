"""How many accounts left within each horizon, counted on the shipped extract."""

from tests.support.trained_model import EXTRACT_END, TrainedModel
from training.data.horizon_counts import HORIZONS, count_by_horizon
from training.data.training_set import build_training_set


def test_each_horizon_is_counted_as_its_training_set_has_it(trained: TrainedModel):
    counts = {count.horizon_days: count for count in count_by_horizon(trained.settings, trained.state, EXTRACT_END)}
    assert counts.keys() == {*HORIZONS, trained.settings.label.horizon_days}
    rows = build_training_set(trained.settings, trained.state, EXTRACT_END).rows
    main = counts[trained.settings.label.horizon_days]
    churned_accounts = rows.account_id[rows.churned == 1].nunique()
    assert (main.snapshots, main.churned_accounts, main.is_enough) == (len(rows), churned_accounts, True)
    assert counts[30].snapshots > main.snapshots > counts[365].snapshots
