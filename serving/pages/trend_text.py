"""How pages show a trend, and what they say it means."""

from collections.abc import Mapping
from typing import NamedTuple

from serving.accounts.trends.risk_trend import FALSE_ARROWS_A_YEAR, MIN_ACCOUNTS
from serving.accounts.trends.usage_trend import ALL_DAYS, EARLIER_DAYS, MIN_ACTIVE_DAYS, RECENT_DAYS
from serving.schemas.enums import Trend, UsageTrend

DEFINITION = (
    "An arrow says that the risk rose or fell by more than its own noise; all else is steady. It needs both: the risk"
    " left the interval that 95\u00a0% of refits on other accounts give the earlier risk; and its log-odds moved"
    " further than those of risks of this size do in the same time without a reason, by how far half and how far"
    " 90\u00a0% of the accounts moved. So of accounts whose hazard never changes at most"
    f" {FALSE_ARROWS_A_YEAR:.0%} are meant to show an arrow in a year of weekly looks."
    " New: no risk of it was served by the earlier day. Model changed: another version gave the earlier risk, so the"
    f" two are not comparable. Not known: fewer than {MIN_ACCOUNTS} accounts can be compared, or the model was trained"
    " before refits were kept."
)
USAGE_DEFINITION = (
    f"An arrow says that the events of the last {RECENT_DAYS} days fell or rose, against the {EARLIER_DAYS} days"
    " before, by more than the account's own noise; all else is steady. What the median account changed is taken off,"
    " so a holiday gives no arrows. The noise is how much the account's own days vary; an arrow needs more of it than"
    " accounts move without a reason, and a change by a quarter. It says nothing of the risk. Of accounts whose hazard"
    f" never changes at most {FALSE_ARROWS_A_YEAR:.0%} are meant to show an arrow, of usage or of risk, in a year of"
    f" weekly looks. Not known: no usage from before the last {ALL_DAYS} days, fewer than {MIN_ACTIVE_DAYS} active days"
    f" among the {EARLIER_DAYS}, fewer than {MIN_ACCOUNTS} accounts, or no signals of that day in the history."
)


class TrendText(NamedTuple):
    """The sign of a trend, empty for none, and its words."""

    sign: str
    words: str


TEXTS: Mapping[Trend, TrendText] = {
    "rising": TrendText("\u2191", "rising"),
    "falling": TrendText("\u2193", "falling"),
    "steady": TrendText("", "steady"),
    "new": TrendText("", "new"),
    "not_comparable": TrendText("", "model changed"),
    "not_known": TrendText("", "not known"),
}
USAGE_TEXTS: Mapping[UsageTrend, TrendText] = {
    "rising": TrendText("\u2191", "usage rising"),
    "falling": TrendText("\u2193", "usage falling"),
    "steady": TrendText("", "steady"),
    "not_known": TrendText("", "not known"),
}
