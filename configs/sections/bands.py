"""Bands: the risks that call for the same attention, in rising order, and where each begins."""

from typing import Literal, get_args

from pydantic import model_validator

from configs.sections.section import Section, Share

Band = Literal["low", "watch", "high", "critical"]
BANDS: tuple[Band, ...] = get_args(Band)


class BandSettings(Section):
    """The risk from which an account is in a band."""

    watch: Share = 0.05
    """From this risk on: watch."""
    high: Share = 0.10
    """From this risk on: high."""
    critical: Share = 0.20
    """From this risk on: critical."""

    @property
    def thresholds(self) -> tuple[float, float, float]:
        """The risks at which watch, high and critical begin."""
        return self.watch, self.high, self.critical

    @model_validator(mode="after")
    def _check_order(self) -> "BandSettings":
        if not self.watch < self.high < self.critical:
            raise ValueError("watch, high and critical must rise in this order")
        return self
