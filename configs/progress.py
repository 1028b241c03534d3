"""Progress: a function reports the step it is at, how much of it is done, and how much there is."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
