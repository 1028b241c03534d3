"""Proposes what counts as churn, and for how long ahead, from the history and how many accounts left in it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from configs.sections.label import LabelMode, LabelSettings
from configs.sections.training import TrainingSettings
from features.drafting.selects.decisions import Query
from features.drafting.selects.subscription_rules import running_subscriptions

HORIZONS = (90, 60, 30, 180)
WARMUP_DAYS, MONTH_DAYS = 28, 30
DEFAULT_GRACE, LONGEST_GRACE, MIN_RETURNS = 30, 60, 20
CALLED_SHARE, MIN_CAPACITY, MAX_CAPACITY = 0.05, 5, 200
MIN_SILENCE, SILENCE_FACTOR = 28, 4


@dataclass(frozen=True)
class LabelProposal:
    """Settings of the label and the work list, each with the reason for it; `churners` are by horizon."""

    mode: LabelMode
    horizon_days: int
    lead_days: int
    grace_days: int
    capacity: int
    warmup_days: int
    reasons: dict[str, str]
    churners: dict[int, int]
    active: int
    problem: str = ""

    @property
    def inactive_days(self) -> int | None:
        """Mode inactivity: how long without usage is churn."""
        return self.horizon_days if self.mode == "inactivity" else None


def propose_labels(tables: set[str], span: tuple[datetime, datetime], query: Query) -> LabelProposal:
    """The proposal for tables that are drafted as `drafted_NAME`, complete over a span."""
    begins, until = span
    mode, why_mode = _choose_mode(tables, query)
    departures = _departures(mode, begins, until, query)
    if mode == "contract" and "notices" in tables and len(departures) < TrainingSettings().min_churned:
        noticed = _departures("event", begins, until, query)
        if len(noticed) > len(departures):
            why_mode = f"{len(departures):,} accounts have no subscription left, but {len(noticed):,} gave notice"
            mode, departures = "event", noticed
    active = _count_active(mode, until, query)
    grace, why_grace = _choose_grace(mode, query)
    history = (until - begins).days
    churners = {days: _count_on_calibration_days(departures, until, days) for days in HORIZONS}
    horizon, why_horizon, problem = _choose_horizon(history, grace, churners)
    capacity = max(MIN_CAPACITY, min(MAX_CAPACITY, round(active * CALLED_SHARE)))
    reasons = {
        "mode": why_mode,
        "horizon_days": why_horizon,
        "lead_days": "nothing in the data says how long your team needs before a departure: 0 until you say so",
        "grace_days": why_grace,
        "capacity": f"5 % of the {active:,} accounts at risk on the last day; set it to what your team can call",
    }
    return LabelProposal(mode, horizon, 0, grace, capacity, WARMUP_DAYS, reasons, churners, active, problem)


def _choose_mode(tables: set[str], query: Query) -> tuple[LabelMode, str]:
    if "subscriptions" in tables and _has_column("subscriptions", "ended_at", query):
        (ended,) = query("select count(ended_at) from drafted_subscriptions")[0]
        return "contract", f"subscriptions say when they ended, in {ended:,} rows"
    if "notices" in tables and "subscriptions" in tables:
        (notices,) = query("select count(*) from drafted_notices")[0]
        return "event", f"no subscription has an end, but there are {notices:,} notices"
    if "subscriptions" in tables:
        return "contract", "there are subscriptions, though none has an end"
    return "inactivity", "there are no contracts, so that a long time without usage is what leaving looks like"


def _has_column(table: str, column: str, query: Query) -> bool:
    return column in {row[0] for row in query(f"describe drafted_{table}")}


def _departures(mode: LabelMode, begins: datetime, until: datetime, query: Query) -> list[datetime]:
    """The days on which accounts left."""
    window = f"between timestamp '{begins}' and timestamp '{until}'"
    if mode == "contract" and _has_column("subscriptions", "ended_at", query):
        sql = f"""select left_at from (select account_id, max(ended_at) as left_at, bool_or(ended_at is null) as runs
        from {running_subscriptions(query)} group by 1) where not runs and left_at {window}"""
    elif mode == "event":
        sql = f"select notified_at from drafted_notices where notified_at {window}"
    elif mode == "inactivity":
        sql = f"select max(occurred_at) from drafted_usage group by account_id having max(occurred_at) {window}"
    else:
        return []
    return [left for (left,) in query(sql)]


def _count_active(mode: LabelMode, until: datetime, query: Query) -> int:
    if mode == "inactivity":
        days = LabelSettings().active_within_days
        since = until - timedelta(days)
        sql = f"select count(distinct account_id) from drafted_usage where occurred_at >= timestamp '{since}'"
    else:
        ended = "ended_at" if _has_column("subscriptions", "ended_at", query) else "null::timestamp"
        sql = f"""select count(distinct account_id) from {running_subscriptions(query)}
        where started_at < timestamp '{until}' and ({ended} is null or {ended} >= timestamp '{until}')"""
    return query(sql)[0][0]


def _choose_grace(mode: LabelMode, query: Query) -> tuple[int, str]:
    if mode != "contract" or not _has_column("subscriptions", "ended_at", query):
        return 0, "only mode contract has a grace"
    gaps = [
        days
        for (days,) in query(
            f"""select date_diff('day', ended_at, next_start) from (select ended_at, lead(started_at) over
            (partition by account_id order by started_at) as next_start from {running_subscriptions(query)})
            where ended_at is not null and next_start > ended_at + interval 1 day"""
        )
    ]
    if len(gaps) < MIN_RETURNS:
        return DEFAULT_GRACE, f"{len(gaps):,} accounts came back after a gap, too few to see how long they take"
    usual = min(LONGEST_GRACE, round(median(gaps)))
    return max(usual, 7), f"half of the {len(gaps):,} accounts that came back did so within {round(median(gaps))} days"


def _count_on_calibration_days(departures: list[datetime], until: datetime, horizon: int) -> int:
    """How many accounts left in the horizons of the calibration days, about three months of them."""
    months = TrainingSettings().calibration_snapshots
    last = until - timedelta(horizon + MONTH_DAYS)
    first = last - timedelta(MONTH_DAYS * months)
    return sum(first <= left < last + timedelta(horizon) for left in departures)


def _choose_horizon(history: int, grace: int, churners: dict[int, int]) -> tuple[int, str, str]:
    """The first of the horizons that the history has room for and in which enough accounts left."""
    needed = TrainingSettings().min_churned
    # Warm-up, some months to learn from, the calibration days, a test day and its answer.
    fitting = [days for days in HORIZONS if history >= WARMUP_DAYS + MONTH_DAYS * 7 + 2 * (days + grace)]
    enough = [days for days in fitting if churners[days] >= needed]
    if enough:
        chosen = enough[0]
        return chosen, f"{churners[chosen]:,} accounts left around the calibration days, and {needed} are needed", ""
    counts = ", ".join(f"{churners[days]:,} within {days} days" for days in sorted(HORIZONS))
    if not fitting:
        shortest = WARMUP_DAYS + MONTH_DAYS * 7 + 2 * (min(HORIZONS) + grace)
        problem = f"the history is {history:,} days, and a horizon of 30 days needs {shortest:,}"
        return min(HORIZONS), problem, problem[:1].upper() + problem[1:] + ". Bring a longer history."
    best = max(fitting, key=lambda days: churners[days])
    problem = f"too few accounts left: {counts} around the calibration days, and {needed} are needed"
    hint = f" A horizon of {best} days comes closest; bring more accounts or a longer history."
    return best, problem, problem[:1].upper() + problem[1:] + "." + hint
