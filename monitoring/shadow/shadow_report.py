"""What the shadow showed: agreement on the newest day, and which version was closer to what happened since."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (the stubs of pandas do not know the columns of a frame)

import json
from dataclasses import asdict, dataclass
from datetime import datetime

import numpy as np
import pandas as pd
import sqlalchemy as sql

from configs.settings import Settings
from features.publishing.open_dataset import OpenDataset
from features.tables.contract import ACCOUNT_ID
from monitoring.outcomes.answers import care_at
from monitoring.outcomes.cohorts import PLAY, choose_snapshots, cohort_label, days_until_known, spacing_of
from monitoring.outcomes.served_scores import risk_within
from monitoring.shadow.sequential_comparison import (
    Finding,
    SequentialComparison,
    compare_sequentially,
    log_loss_gains,
)
from serving.ledger.schema import SHADOW_RISKS
from training.labels.build import build_labels
from training.labels.definition import label_hash

TOP_SHARE = 0.1


@dataclass(frozen=True)
class Agreement:
    """How alike both versions are on a day: the tenth of the accounts with the highest risk.

    `shared` of the `top` accounts are in the highest tenth of both. `flipped` of the champion's top have another main
    family. `mean_difference` is the mean absolute difference of all risks within the main horizon.
    """

    as_of: datetime
    accounts: int
    top: int
    shared: int
    flipped: int
    mean_difference: float


@dataclass(frozen=True)
class ShadowReport:
    """What is known of a challenger in shadow of a champion.

    `comparison` is on accounts whose answer is known; `follow_days` says within how many days an account had to leave.
    `next_known_at` is when the next answers are known.
    """

    challenger: int
    champion: int
    days: int
    first_day: datetime
    agreement: Agreement
    comparison: SequentialComparison
    follow_days: int
    next_known_at: datetime | None

    @property
    def finding(self) -> Finding:
        return self.comparison.finding

    def to_json(self) -> dict[str, object]:
        """The report as a JSON object, with its finding."""
        return {**asdict(self), "finding": self.finding}


def read_shadow_report(
    opened: OpenDataset, settings: Settings, engine: sql.Engine, pair: tuple[int, int], known_until: datetime
) -> ShadowReport | None:
    """What the shadow of a challenger (first) beside a champion showed; None if no day was recorded."""
    rows = _read_rows(engine, pair, label_hash(settings.label))
    if rows.empty:
        return None
    known_until = opened.known_until(known_until)
    label, wait = cohort_label(settings.label), days_until_known(settings.label)
    started = choose_snapshots(rows, spacing_of(settings.label))
    is_known = started.as_of + wait <= pd.Timestamp(known_until)
    followed = started[is_known].reset_index(drop=True)
    churned = build_labels(opened.tables, followed[[ACCOUNT_ID, "as_of"]], label, known_until)
    counts = churned.notna().to_numpy() & (care_at(opened.tables, followed) != PLAY).to_numpy()
    pending = started.as_of[~is_known]
    return ShadowReport(
        challenger=pair[0],
        champion=pair[1],
        days=int(rows.as_of.nunique()),
        first_day=pd.Timestamp(rows.as_of.min()).to_pydatetime(),
        agreement=_agreement(rows[rows.as_of == rows.as_of.max()], settings.label.horizon_days),
        comparison=_compare(followed[counts], churned[counts].to_numpy("float64"), label.horizon_days),
        follow_days=label.horizon_days,
        next_known_at=None if pending.empty else pd.Timestamp(pending.min() + wait).to_pydatetime(),
    )


def describe_shadow(report: ShadowReport) -> str:
    """The report in one paragraph, every figure with its n."""
    compared, alike = report.comparison, report.agreement
    days = "1 day" if report.days == 1 else f"{report.days:,} days"
    first = (
        f"Shadow of version {report.challenger} beside version {report.champion}, {days} since"
        f" {report.first_day:%Y-%m-%d}: {report.finding}."
    )
    interval = f"[{compared.low:+.4f}, {compared.high:+.4f}]"
    gain = (
        f" It gains {compared.gain:+.4f} {interval} in log loss per account (below 0: the champion is better), on"
        f" {compared.accounts:,} accounts followed for {report.follow_days} days, of which {compared.churned:,} left."
    )
    waiting = f" The first answers are known on {report.next_known_at:%Y-%m-%d}." if report.next_known_at else ""
    agreement = (
        f" On {alike.as_of:%Y-%m-%d} {alike.shared:,} of the {alike.top:,} highest risks are the same accounts, and"
        f" {alike.flipped:,} have another main family."
    )
    return first + (gain if compared.accounts else waiting) + agreement


def _read_rows(engine: sql.Engine, pair: tuple[int, int], label: str) -> pd.DataFrame:
    names = ("account_id", "as_of", "risks", "champion_risks", "family", "champion_family")
    of_pair = SHADOW_RISKS.c.challenger == pair[0], SHADOW_RISKS.c.champion == pair[1]
    query = sql.select(*(SHADOW_RISKS.c[name] for name in names)).where(*of_pair, SHADOW_RISKS.c.label_hash == label)
    with engine.connect() as connection:
        rows = pd.read_sql(query.order_by(SHADOW_RISKS.c.id), connection, parse_dates=["as_of"])
    return rows if rows.empty else rows.astype({"as_of": "datetime64[us]"})


def _risks(texts: pd.Series, days: int) -> np.ndarray:
    return np.array([risk_within(json.loads(text), days) for text in texts], "float64")


def _compare(followed: pd.DataFrame, churned: np.ndarray, days: int) -> SequentialComparison:
    gains = log_loss_gains(_risks(followed.risks, days), _risks(followed.champion_risks, days), churned)
    return compare_sequentially(gains, churned)


def _agreement(rows: pd.DataFrame, days: int) -> Agreement:
    risks, champion = _risks(rows.risks, days), _risks(rows.champion_risks, days)
    top = max(1, round(TOP_SHARE * len(rows)))
    highest, champion_highest = (set(np.argsort(-side, kind="stable")[:top].tolist()) for side in (risks, champion))
    family, other = rows.champion_family.to_numpy(), rows.family.to_numpy()
    return Agreement(
        as_of=pd.Timestamp(rows.as_of.iloc[0]).to_pydatetime(),
        accounts=len(rows),
        top=top,
        shared=len(highest & champion_highest),
        flipped=sum(family[row] != other[row] for row in champion_highest),
        mean_difference=float(np.abs(risks - champion).mean()),
    )
