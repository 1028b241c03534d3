"""How each source writes numbers and dates: found in its values, or asked if they leave more than one reading."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from features.discovery.column_profile import ColumnProfile
from features.discovery.recognition import ProfiledSource
from features.drafting.selects.column_expressions import SourceStyle
from features.drafting.selects.decisions import DecisionLog, Question
from features.tables.mapping import is_text


def find_styles(sources: Sequence[ProfiledSource], decisions: DecisionLog) -> dict[str, SourceStyle]:
    """How each source writes numbers and dates, such that one select may read several of them."""
    return _common_styles(sources, {source.name: _source_style(source, decisions) for source in sources})


def _source_style(source: ProfiledSource, decisions: DecisionLog) -> SourceStyle:
    profiles = source.profiles.values()
    has_comma = any(profile.counts["comma_not_thousands"] for profile in profiles if profile.is_number)
    has_point = any(p.counts["number"] > p.counts["integer"] for p in profiles if p.is_number)
    decimal = "," if has_comma and not has_point else "."
    return SourceStyle(decimal, _date_order(source, decisions), _time_zone(source, decisions))


def _date_order(source: ProfiledSource, decisions: DecisionLog) -> str | None:
    """The order of day and month of a source; a person says it if both fit every date."""
    columns = [profile for profile in source.profiles.values() if profile.counts["ordered"] and profile.is_instant]
    if not columns:
        return None
    orders = [order for order in ("day_first", "month_first") if all(order in p.date_orders for p in columns)]
    example = f"{columns[0].name} = {columns[0].values[0]}"
    if len(orders) == 1:
        decisions.note(source.name, f"dates are {orders[0].replace('_', ' ')}: the other order does not fit every row")
        return orders[0]
    evidence = "both orders fit every date" if orders else "neither order fits every date"
    question = Question(
        f"dates.{source.name}",
        f"In '{source.name}', which comes first in {example}: the day or the month?",
        evidence,
        {"day_first": "the day comes first", "month_first": "the month comes first"},
    )
    return decisions.ask(question)


def _time_zone(source: ProfiledSource, decisions: DecisionLog) -> str | None:
    """The zone of times that are written without one; None for UTC, and for a source without such times."""
    local = _local_columns(source)
    if not local or not all(map(is_text, source.loaded.group.files)):
        return None
    example = f"{local[0].name} = {local[0].values[0]}"
    mixed = sum(profile.counts["zoned"] for profile in local)
    evidence = f"{local[0].local_times:,} times have none" + (f", and {mixed:,} have one" if mixed else "")
    question = Question(
        f"time_zone.{source.name}",
        f"In which time zone are the times of '{source.name}', such as {example}? UTC, or a name such as Europe/Berlin",
        evidence,
        default="UTC",
    )
    zone = decisions.ask(question)
    return None if zone == "UTC" else zone


def _local_columns(source: ProfiledSource) -> list[ColumnProfile]:
    return [profile for profile in source.profiles.values() if profile.is_instant and profile.local_times > 0]


def _common_styles(sources: Sequence[ProfiledSource], styles: Mapping[str, SourceStyle]) -> dict[str, SourceStyle]:
    """The styles under which one select may read several sources: a mark or zone of one is that of all, if it can be.

    A decimal comma beside decimal points of another source is replaced in the selects instead.
    """
    has_point = any(
        p.counts["number"] > p.counts["integer"] for source in sources for p in source.profiles.values() if p.is_number
    )
    has_comma = any(style.decimal == "," for style in styles.values())
    decimal = "," if has_comma and not has_point else "."
    zones = {style.zone for source in sources if _local_columns(source) for style in (styles[source.name],)}
    zone = zones.pop() if len(zones) == 1 else None
    return {name: replace(style, decimal=decimal, zone=style.zone or zone) for name, style in styles.items()}
