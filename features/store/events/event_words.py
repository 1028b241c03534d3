"""The families of events, and the words that begin and end a period."""

from typing import Literal

EventFamily = Literal[
    "contract", "billing", "support", "relationship", "engagement", "onboarding", "sentiment", "plays"
]  # fmt: skip
BEGAN, ENDED = " began:", " ended"
