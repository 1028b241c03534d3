"""Bands: the risks that call for the same attention, in rising order."""

from typing import Literal, get_args

Band = Literal["low", "watch", "high", "critical"]
BANDS: tuple[Band, ...] = get_args(Band)
