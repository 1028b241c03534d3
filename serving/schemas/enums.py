"""The values that fields of requests, responses and plays may have: one list of each."""

from typing import Literal

Scope = Literal["public", "score", "read", "feedback", "admin"]
Status = Literal["scored", "partial", "stale", "degraded"]
UnscoredReason = Literal[
    "unknown_account", "no_running_subscription", "not_in_store", "never_scored", "history_gone", "version_gone"
]
# Why a risk was computed: a tool got it when it was new; a person looked at it; a past day was computed again later.
Purpose = Literal["served", "viewed", "recomputed"]
Mark = Literal["do_not_chase", "saved_watch"]
Verdict = Literal["right", "wrong", "already_known"]
# What `oarlock monitor` says, the worst first.
HealthVerdict = Literal[
    "mend a source",
    "cause changed: retrain",
    "level moved: recalibrate",
    "population moved",
    "plays work",
    "cannot tell yet",
    "ok",
]
Outcome = Literal["left", "stayed", "contracted"]
# Of a risk since an earlier day; new: there was none; not_comparable: another model version; not_known: its noise is.
Trend = Literal["rising", "falling", "steady", "new", "not_comparable", "not_known"]
# Of the usage against that of the 63 days before.
UsageTrend = Literal["rising", "falling", "steady", "not_known"]
Sort = Literal["revenue_at_risk", "risk", "renewal"]
SuppressedReason = Literal[
    "suppressed",
    "low_risk",
    "held_out",
    "in_cooldown",
    "already_touched",
    "do_not_chase",
    "below_break_even",
    "over_capacity",
    "nothing_raises_it",
    "not_scored",
]
# What people report is kept beside the audit, because it is erased with its account.
ReportedAction = Literal["feedback", "outcome_reported"]
AuditAction = Literal[
    "key_created", "key_revoked", "signed_in", "denied", "promoted", "rolled_back", "forced", "shadow_started",
    "shadow_stopped", "monitor_acknowledged", "monitor_acted", "erased", "target_forgotten", "replayed", "backed_up",
    "restored", "upgraded", "downgraded", "view_saved", "view_changed", "view_deleted",
]  # fmt: skip
