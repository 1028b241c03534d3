"""The model card: one self-contained page that names weaknesses and refusals."""

from dataclasses import replace

import numpy as np
import pytest

from configs.sections.evaluation import EvaluationSettings
from training.evaluation.ablation import USAGE_ONLY, AblationResult
from training.evaluation.learning_curve import LearningCurve, LearningForecast, LearningPoint
from training.evaluation.paired_difference import PairedMetric, PairedRisks, compare_risks, evaluate_segments
from training.evaluation.scorecard import EvaluationData, Interval
from training.registry.comparison_record import LastComparison
from training.registry.evaluation_record import EvaluationRecord, HorizonRecord
from training.registry.mlflow_registry import open_registry
from training.reports.model_card import model_card
from training.reports.model_card_html import list_weaknesses, read_plots, render_card_page
from training.reports.model_card_sections import (
    ablation_lines,
    contraction_lines,
    horizon_lines,
    learning_sentence,
    segment_lines,
)
from training.reports.plots import PLOTS

SETTINGS = EvaluationSettings(bootstrap_samples=20)
ONE_OUTCOME_A_DAY = EvaluationData(np.array([1.0, 1.0, 0.0, 0.0]), as_of=np.array(["05-01", "05-01", "06-01", "06-01"]))
RISKS = np.array([0.4, 0.3, 0.2, 0.1])


@pytest.fixture
def evaluation(trained) -> EvaluationRecord:
    registry = open_registry(trained.state, trained.settings.name)
    return registry.evaluation(registry.get(1))


@pytest.fixture
def plots(trained) -> dict[str, bytes]:
    registry = open_registry(trained.state, trained.settings.name)
    with registry.download_report(registry.get(1)) as folder:
        return read_plots(folder)


def test_a_run_holds_every_plot(plots):
    assert plots.keys() == PLOTS.keys()
    assert all(content.startswith(b"\x89PNG") for content in plots.values())


def test_a_run_holds_both_cards(trained):
    registry = open_registry(trained.state, trained.settings.name)
    with registry.download_report(registry.get(1)) as folder:
        assert (folder / "model_card.md").read_text().startswith("# Model card")
        assert (folder / "model_card.html").read_text().startswith("<!doctype html>")
    assert not folder.exists()


def test_the_page_contains_its_plots_and_loads_nothing(evaluation, plots):
    page = render_card_page(evaluation, plots, None)
    assert page.count("data:image/png;base64,") == len(plots)
    assert not [text for text in ("http://", "https://", "<script", "<link") if text in page]
    assert "Nothing here is causal" in page


def test_the_cards_show_what_was_expected_on_each_test_day(evaluation, plots):
    counts = {"snapshots": 200, "churned": 9, "mean_risk": 0.06, "rate": 0.045, "rate_low": 0.0239, "rate_high": 0.0833}
    newest = evaluation.backtest.folds[0]
    folds = (replace(newest, test_days=("2023-05-01",), metrics={**newest.metrics, **counts}),)
    changed = replace(evaluation, backtest=replace(evaluation.backtest, folds=folds))
    assert "| 2023-05-01 | 200 | 12.0 | 9 | 0.0450 [0.0239, 0.0833] |" in model_card(changed)
    page = render_card_page(changed, plots, None)
    assert "<td>2023-05-01</td><td>200</td><td>12.0 (6.0 %)</td><td>9 (4.5 %, 2.4 % to 8.3 %)</td>" in page


def test_the_cards_show_the_query_that_says_who_churned(evaluation, plots):
    asked = replace(evaluation, label={**evaluation.label, "mode": "query", "query": "select a < 1 as churned"})
    assert "```sql\nselect a < 1 as churned\n```" in model_card(asked)
    assert "<pre>select a &lt; 1 as churned</pre>" in render_card_page(asked, plots, None)


def test_the_page_shows_a_refusal_and_the_last_comparison(evaluation):
    leakage = replace(evaluation.leakage, alarms=("the signal 'x' <alone> knows",))
    comparison = LastComparison(compared_with=3, verdict="not_comparable", reason="they predict different labels")
    page = render_card_page(replace(evaluation, leakage=leakage), {}, comparison)
    assert "Not to be promoted." in page
    assert "the signal &#39;x&#39; &lt;alone&gt; knows" in page
    assert "Compared with version 3: not comparable" in page
    assert "They predict different labels." in page


def test_a_weak_segment_is_named(evaluation):
    weak = {"auc_low": 0.4, "rate_low": 0.1, "rate_high": 0.2, "mean_risk": 0.5, "churned": 5, "snapshots": 50}
    sentences = list(list_weaknesses(replace(evaluation, segments={"tiny": weak})))
    assert "In the segment 'tiny' (5 of 50 churned) it does not rank significantly better than chance." in sentences


def test_the_card_shows_what_is_lost_without_a_family(evaluation):
    losses = {result.name: result.metrics["log_loss"].difference for result in evaluation.ablation}
    assert USAGE_ONLY in losses
    assert losses["without contract"].low > 0
    assert "without contract" in model_card(evaluation)


def test_the_cards_say_what_more_data_would_bring(evaluation, plots):
    gain = LearningCurve(200, (), LearningForecast(6, 70, Interval(-0.0012, -0.0021, -0.0003)))
    unclear = replace(gain, forecast=LearningForecast(6, 70, Interval(-0.0002, -0.0011, 0.0009)))
    unknown = replace(gain, forecast=None, unavailable="Only 9 churned.")
    sentences = [learning_sentence(curve) for curve in (gain, unclear, unknown)]
    assert "about -0.0012 [-0.0021, -0.0003], by the test accounts." in sentences[0]
    assert "cannot be told: -0.0002 [-0.0011, +0.0009]." in sentences[1]
    assert sentences[2].endswith("what more data would bring is not known. Only 9 churned.")
    for curve, sentence in zip((gain, unclear, unknown), sentences, strict=True):
        changed = replace(evaluation, learning_curve=curve)
        assert sentence in model_card(changed)
        assert sentence in render_card_page(changed, plots, None)


def test_a_curve_that_rises_foretells_nothing():
    rising = LearningCurve(200, (), LearningForecast(6, 70, Interval(0.0012, 0.0003, 0.0021)))
    assert "cannot be told" in learning_sentence(rising)


def test_an_undefined_auc_of_a_part_is_called_so(evaluation):
    losses = {"log_loss": PairedMetric(0.2, 0.1, Interval(0.1, 0.05, 0.15))}
    curve = LearningCurve(200, (LearningPoint(0.5, 100, losses),), None, "")
    changed = replace(evaluation, learning_curve=curve)
    assert "| 50 % | 100 | +0.1000 [+0.0500, +0.1500] | undefined |" in model_card(changed)
    assert '<td class="n">undefined</td>' in render_card_page(changed, {}, None)


def test_a_curve_that_was_not_measured_is_not_on_the_cards(evaluation, plots):
    without = replace(evaluation, learning_curve=None)
    assert "Learning curve" not in model_card(without)
    assert "Learning curve" not in render_card_page(without, plots, None)


def test_a_horizon_without_labels_is_listed(evaluation):
    horizons = HorizonRecord({"180": None}, unavailable={"30": "too few"}, segment_offsets={"small": 0.1})
    lines = list(horizon_lines(replace(evaluation, horizons=horizons)))
    assert "- 180 days: no test day has labels yet" in lines
    assert "- 30 days: unavailable, too few" in lines
    assert "- segments with their own calibration (shift of the log-odds): small +0.10" in lines


def test_contraction_is_listed_with_its_counts():
    metrics = {"snapshots": 4, "churned": 1}
    metrics |= {f"{name}{end}": 0.25 for name in ("rate", "auc") for end in ("", "_low", "_high")}
    lines = list(contraction_lines({"contracted": metrics, "churned or contracted": None}))
    assert "- contracted: 1 of 4, rate 0.2500 [0.2500, 0.2500], AUC of the risk 0.2500 [0.2500, 0.2500]" in lines
    assert "- churned or contracted: no account, or every account" in lines


def test_a_segment_of_one_outcome_a_day_has_no_auc():
    cards = evaluate_segments(ONE_OUTCOME_A_DAY, RISKS, np.array(["small"] * 4), SETTINGS)
    row = list(segment_lines({name: card.metrics() for name, card in cards.items()}))[-1]
    assert row.startswith("| small | 4 | 2 | 0.2500 | 0.5000 [")
    assert "] | undefined | 0.6122" in row


def test_a_family_left_out_of_days_of_one_outcome_changes_no_auc():
    compared = compare_risks(PairedRisks(ONE_OUTCOME_A_DAY, RISKS, RISKS[::-1]), SETTINGS)
    row = list(ablation_lines([AblationResult("without usage", 3, compared)]))[-1]
    assert row.startswith("| without usage | 3 | -")
    assert row.endswith("] | undefined |")
