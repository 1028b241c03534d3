"""The outcome report: served flags against what happened, the natural rate, and plays against held-out accounts."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (the stubs of pandas do not know the columns of a frame)

from datetime import datetime

import numpy as np
import pandas as pd

from configs.settings import Settings
from configs.state_dir import StateDir
from features.publishing.open_dataset import open_dataset
from monitoring.outcomes.answers import follow_served_accounts, segments_of
from monitoring.outcomes.cohorts import days_until_known
from monitoring.outcomes.natural_rate import natural_rates, natural_risk
from monitoring.outcomes.plays import PlayEvidence, judge_plays
from monitoring.outcomes.score_truth import follow_flags, judge_flags, newest_currency
from monitoring.outcomes.served_scores import read_scores, read_served_snapshots
from serving.ledger.ledger import Ledger
from serving.ledger.served_outcomes import OutcomeRate, PlayEffect, ServedOutcomes
from training.labels.definition import is_mature, label_hash, matures_at


def report_outcomes(settings: Settings, state: StateDir, ledger: Ledger, known_until: datetime) -> ServedOutcomes:
    """The report of every risk that was served and whose answer is known by an instant.

    The data set is opened only if there may be such a risk.
    """
    label = settings.label
    wait_days = (matures_at(known_until, label) - known_until).days
    served = read_served_snapshots(ledger, label_hash(label), known_until)
    is_due = served.as_of + days_until_known(label) <= pd.Timestamp(known_until)
    if not (is_due | is_mature(served, label, known_until)).any():
        return ServedOutcomes(
            known_until, label.horizon_days, wait_days, quarters=(), natural=(), plays=None, label=label_hash(label)
        )
    opened = open_dataset(settings, state)
    rows = follow_flags(opened, settings, ledger, known_until)
    rows["natural"] = [natural_risk(score) for score in read_scores(ledger, rows["id"].tolist())]
    rows["segment"] = segments_of(opened.tables, rows)
    followed = follow_served_accounts(opened, settings, ledger, known_until)
    plays = judge_plays(followed.rows, settings.monitoring.false_alarms_per_year)
    level_sd = float(np.hypot(settings.training.drift_prior_sd, settings.training.segment_prior_sd))
    return ServedOutcomes(
        known_until=known_until,
        horizon_days=label.horizon_days,
        wait_days=wait_days,
        quarters=judge_flags(rows),
        natural=natural_rates(rows, level_sd),
        plays=_effect(plays),
        currency=newest_currency(rows),
        label=label_hash(label),
    )


def _effect(plays: PlayEvidence) -> PlayEffect | None:
    if plays.ratio is None or plays.low is None or plays.high is None:
        return None
    return PlayEffect(plays.left_with_play, plays.left_held_out, OutcomeRate(plays.ratio, plays.low, plays.high))
