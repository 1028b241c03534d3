"""How pages show a trend, and what they say it means."""

from collections.abc import Mapping
from typing import NamedTuple

from serving.accounts.risk_trend import FALSE_ARROWS_A_YEAR, MIN_ACCOUNTS
from serving.schemas.enums import Trend

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
