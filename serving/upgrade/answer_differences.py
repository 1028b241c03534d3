"""Where two answers about an account differ, field by field, with the path of each field."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

TOLERANCE = 1e-9  # between two machines; a model's bundle is compared with its booster as closely


@dataclass(frozen=True)
class FieldDifference:
    """A field of an answer, what was recorded, and what it is now."""

    field: str
    recorded: object
    now: object


def find_differences(
    recorded: object, now: object, field: str = "", *, tolerance: float = TOLERANCE
) -> Iterator[FieldDifference]:
    """The fields that differ by more than a tolerance; fields that were not recorded are not compared.

    >>> [difference.field for difference in find_differences({"a": [{"b": 1.0}]}, {"a": [{"b": 2.0}], "new": 3})]
    ['a[0].b']
    >>> list(find_differences({"a": 1.0}, {"a": 1.0, "new": 3}, tolerance=0.0))
    []
    """
    if isinstance(recorded, dict) and isinstance(now, dict):
        old, new = cast(Mapping[str, object], recorded), cast(Mapping[str, object], now)
        for name, value in old.items():
            yield from find_differences(value, new.get(name), f"{field}.{name}".removeprefix("."), tolerance=tolerance)
    elif isinstance(recorded, list) and isinstance(now, list) and len(cast(list[object], recorded)) == len(now):
        pairs = zip(cast(Sequence[object], recorded), cast(Sequence[object], now), strict=True)
        for index, (value, again) in enumerate(pairs):
            yield from find_differences(value, again, f"{field}[{index}]", tolerance=tolerance)
    elif not _is_close(recorded, now, tolerance):
        yield FieldDifference(field, recorded, now)


def _is_close(recorded: object, now: object, tolerance: float) -> bool:
    if isinstance(recorded, float) and isinstance(now, float | int):
        return math.isclose(recorded, now, rel_tol=tolerance, abs_tol=tolerance)
    return recorded == now
