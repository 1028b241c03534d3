"""What each figure of the retention report means: a sentence, a formula and where it comes from, with a hash.

The hash changes with the words or the formula, so two reports with the same hash mean the same.
"""

import hashlib
from dataclasses import dataclass

SMSB = "SaaS Metrics Standards Board, standards for gross and net revenue retention (saasmetricsboard.com)"
COWAN = "D. Cowan, Bessemer Venture Partners: Measuring High-Growth, Recurring Revenue Businesses"
WILSON = "E. B. Wilson: Probable inference, the law of succession, and statistical inference, JASA 22 (1927)"
DERSIMONIAN = "R. DerSimonian and N. Laird: Meta-analysis in clinical trials, Controlled Clinical Trials 7 (1986)"
EFRON = "B. Efron and R. J. Tibshirani: An Introduction to the Bootstrap (1993)"


@dataclass(frozen=True)
class FigureDefinition:
    """One figure: its name, its label, what it means, its formula and its source."""

    name: str
    label: str
    meaning: str
    formula: str
    source: str = ""

    @property
    def hash(self) -> str:
        """Twelve hexadecimal digits that change with the meaning or the formula."""
        return hashlib.sha256(f"{self.name}\n{self.meaning}\n{self.formula}".encode()).hexdigest()[:12]


DEFINITIONS = (
    FigureDefinition(
        "gross",
        "Gross revenue retention",
        "The share of the recurring revenue at the start that the same accounts still pay, without any expansion."
        " It is never above 100 %.",
        "(start - contraction - churned) / start = sum of min(start, end) / sum of start",
        SMSB,
    ),
    FigureDefinition(
        "net",
        "Net revenue retention",
        "What the accounts of the start pay at the end, as a share of what they paid at the start. Expansion counts,"
        " accounts that were not there at the start do not.",
        "(start + expansion - contraction - churned) / start = sum of end / sum of start",
        SMSB,
    ),
    FigureDefinition(
        "logo",
        "Logo retention",
        "The share of the accounts that paid at the start and pay at the end.",
        "accounts with start > 0 and end > 0 / accounts with start > 0",
    ),
    FigureDefinition(
        "mrr",
        "Recurring revenue",
        "The monthly recurring revenue after discount of all subscriptions that run at an instant, as it was known on"
        " the day of the report. One that starts at that instant does not run yet.",
        "sum of mrr over subscriptions with started_at < instant and no end by then",
    ),
    FigureDefinition(
        "movements",
        "New, returned, expansion, contraction, churned",
        "An account's recurring revenue at two instants decides, never what happened between them: an account that left"
        " and came back between them is no churn. Returned: it paid before, but not at the start.",
        "start + new + returned + expansion - contraction - churned = end, exactly",
    ),
    FigureDefinition(
        "committed",
        "Committed recurring revenue (CMRR)",
        "The recurring revenue less that of accounts whose notice takes effect later. Signed subscriptions that have"
        " not begun belong to it, too, but no table holds them before they begin.",
        "mrr - mrr of accounts with notified_at < day < effective_at",
        COWAN,
    ),
    FigureDefinition(
        "losses",
        "Why revenue was lost",
        "Accounts that paid at the start and not at the end, by their last notice, if it took effect in the period."
        " Involuntary: a payment failed. Controllable or not: as the settings `retention` sort the reasons. Unknown:"
        " no such notice, or one without a reason or with one that they do not name.",
        "involuntary + controllable + not controllable + unknown = churned, exactly",
    ),
    FigureDefinition(
        "renewals",
        "Renewal forecast",
        "Accounts that pay on the day and have a term that ends in the quarter: what they pay now, and the share of it"
        " that they are expected to pay at the quarter's end, gross and net. An account whose risk reaches so far stays"
        " as its risk says, another as past accounts of its segment whose term ended as far ahead; those that stay pay"
        " as much of their revenue as past ones did. Terms shorter than the setting `stages.shortest_term_months` and"
        " terms whose end is not known are not in it. A term that is renewed within the year counts once.",
        "sum of revenue x chance to stay x share paid by those that stayed / sum of revenue; the chance of a segment is"
        " (stayed + 20 x chance of all) / (accounts + 20). Interval: percentiles 2.5 and 97.5 of 500 draws of who"
        " stays and pays what, each with one shift of all log-odds from a t distribution, as wide as past quarters"
        " differed (prior: 0.3, worth 4 quarters) and as their mean is uncertain",
        DERSIMONIAN,
    ),
    FigureDefinition(
        "renewal_checks",
        "Past forecasts",
        "The same forecast of each past quarter, from the terms, the revenue and the renewals that were known on the"
        " day on which it would have been made, without risks; and what was kept. Quarters that were forecast from"
        " several days count for each.",
        "kept, gross: sum of min(revenue then, revenue at the quarter's end) / sum of revenue then; net without min",
    ),
    FigureDefinition(
        "causes",
        "Revenue at risk by cause",
        "What the risks within the main horizon are made of, times the revenue: the base of their segments, and the"
        " part of each family of drivers. A family that lowers more revenue at risk than it raises is negative. The"
        " settings `retention.functions` say which function of the company owns a family. It is what the risks are"
        " made of, not what an action would change.",
        "sum of revenue x risk = sum of revenue x base + sum over families of revenue x points, exactly",
    ),
    FigureDefinition(
        "time_to_value",
        "Time to value",
        "Of the accounts whose first subscription began in the year that ended 90 days before the day: the share that"
        " reached the milestone `first_value` within 90 days, the median days to it, and the median days of the term"
        " that were left then, of those whose term's end is known. An account that has not reached it counts as later"
        " than all. Waiting: those that pay and have not.",
        "median of first_value.reached_at - first started_at; interval: order statistics (n +- 1.96 sqrt n) / 2"
    ),
    FigureDefinition(
        "interval",
        "Intervals",
        "95 %: Wilson's score interval for logo retention, a bootstrap of whole accounts for revenue. A revenue"
        " interval needs 20 accounts, 5 of them with another revenue than at the start: of fewer, none is shown.",
        "percentiles 2.5 and 97.5 of the ratio over 500 weightings of the accounts, each weight Poisson(1), of accounts"
        " that are alike within a tenth together",
        f"{WILSON}; {EFRON}",
    ),
)  # fmt: skip
