"""What the values of a column look like: how many are dates, numbers, flags or ids, and which of them stand out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from duckdb import DuckDBPyConnection

from features.compute.backends.duckdb import quote_name, quote_text
from features.ingestion.text_values import ISO_INSTANT, ORDERED_DATE

BLANK_WORDS = ("null", "n/a", "na", "none", "nan", "nil", "-", "--", "\\n", "?", "unknown", "not available")
TWO_DIGIT_YEARS = ("%d/%m/%y", "%m/%d/%y")
FORMATS = ("%d %b %Y", "%b %d, %Y", "%d-%b-%Y", "%d %B %Y", "%B %d, %Y", "%Y/%m/%d", "%Y%m%d", *TWO_DIGIT_YEARS)
EPOCH_SECONDS, EPOCH_MILLISECONDS = "epoch_seconds", "epoch_milliseconds"
FROM_2000, UNTIL_2100 = 946_684_800, 4_102_444_800
MIN_SHARE = 0.9
KEPT_VALUES = 200
MAX_SPELLINGS = 500  # a column with more distinct values is no list of groups
DIGITS = r"^[0-9]+$"
PATTERNS = {
    "number": r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$",
    "integer": r"^[+-]?[0-9]+$",
    "comma_number": r"^[+-]?[0-9]+,[0-9]+$",
    "comma_not_thousands": r"^[+-]?([0-9]+,([0-9]{1,2}|[0-9]{4,})|[0-9]{4,},[0-9]+|0,[0-9]+)$",
    "thousands_point": r"^[+-]?[0-9]{1,3}(\.[0-9]{3})+,[0-9]+$",
    "thousands_comma": r"^[+-]?[0-9]{1,3}(,[0-9]{3})+\.[0-9]+$|^[+-]?[0-9]{1,3}(,[0-9]{3}){2,}$",
    "money": r"^[€$£¥]|[€$£¥]$|^[+-]?[0-9.,]+ ?(EUR|USD|GBP|CHF)$",
    "flag": r"^(?i)(true|false|t|f|yes|no|y|n)$",
    "bit": r"^[01]$",
    "iso": ISO_INSTANT,
    "clock": r"[T ]([1-9]|0[1-9]|1[0-9]|2[0-3]):[0-9]{2}|[T ]0?0:(0[1-9]|[1-5][0-9])",
    "zoned": r":[0-9.]+ ?(Z|z|UTC|[+-][0-9]{2}(:?[0-9]{2})?)$",
    "ordered": ORDERED_DATE,
    "day_above_12": r"^(1[3-9]|2[0-9]|3[01])[/.-]([0-9]{1,2})[/.-][0-9]{4}",
    "month_above_12": r"^([0-9]{1,2})[/.-](1[3-9]|2[0-9]|3[01])[/.-][0-9]{4}",
    "leading_zero": r"^0[0-9]+$",
    "decimal_id": r"^[0-9]+\.0$",
    "outer_space": r"^\s|\s$",
    "sentinel": r"^(9999|2999|0001|1900-01-01|1970-01-01|31[./-]12[./-]9999|12[./-]31[./-]9999)",
}


@dataclass(frozen=True)
class ColumnProfile:
    """The counts of a column; `counts` is by pattern, over the values that are neither empty nor a word for it.

    `values` are the most frequent of those. `date_formats` are the formats that fit the most of them, if dates are
    neither ISO 8601 nor a day and month in digits with a whole year: more than one if each could be meant.
    `spellings` has each value of which a more frequent one differs only in capitals or outer spaces, with that one.
    """

    name: str
    rows: int
    filled: int
    distinct: int
    counts: Mapping[str, int] = field(default_factory=dict)
    blanks: tuple[str, ...] = ()
    sentinels: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    date_formats: tuple[str, ...] = ()
    spellings: Mapping[str, str] = field(default_factory=dict)

    @property
    def dates(self) -> int:
        """The values that are dates in one of the forms of their column."""
        written = self.counts["iso"] + self.counts["ordered"]
        return self.filled if self.date_formats and written < self.filled * MIN_SHARE else written

    @property
    def is_instant(self) -> bool:
        """Whether nearly all values are dates or instants."""
        return self.filled > 0 and self.dates >= MIN_SHARE * self.filled

    @property
    def local_times(self) -> int:
        """The values with a time of day other than midnight and without a zone."""
        return self.counts["clock"] - self.counts["zoned"]

    @property
    def numbers(self) -> int:
        """The values that are numbers in any form."""
        names = ("number", "comma_number", "thousands_point", "thousands_comma", "money")
        return sum(self.counts[name] for name in names)

    @property
    def is_number(self) -> bool:
        """Whether nearly all values are numbers."""
        return self.filled > 0 and self.numbers >= MIN_SHARE * self.filled

    @property
    def is_flag(self) -> bool:
        """Whether all values are words or digits for true and false."""
        return 0 < self.filled == max(self.counts["flag"], self.counts["bit"])

    @property
    def date_orders(self) -> tuple[str, ...]:
        """The orders of day and month that fit every date; empty if no date needs one."""
        if not self.counts["ordered"]:
            return ()
        fitting = {"day_first": self.counts["month_above_12"], "month_first": self.counts["day_above_12"]}
        return tuple(order for order, against in fitting.items() if not against)


def profile_columns(connection: DuckDBPyConnection, source: str, columns: Sequence[str]) -> dict[str, ColumnProfile]:
    """The profile of each of these columns of a source, over all of its rows."""
    if not columns:
        return {}
    _create_profiled(connection, source, columns)
    counted = _count_values(connection, columns)
    formats = _date_formats(connection, [column for column in counted if _may_have_formats(column)])
    spellings = _spellings(connection, [column for column in counted if column.distinct <= MAX_SPELLINGS])
    return {
        column.name: replace(
            column, date_formats=formats.get(column.name, ()), spellings=spellings.get(column.name, {})
        )
        for column in counted
    }


def _create_profiled(connection: DuckDBPyConnection, source: str, columns: Sequence[str]) -> None:
    """One table of the distinct values of all columns: a statement of its own for each column costs milliseconds."""
    blank = f"value is null or trim(value) = '' or lower(trim(value)) in ({', '.join(map(quote_text, BLANK_WORDS))})"
    counts = " union all ".join(
        f"""(select {quote_text(name)} as name, {quote_name(name)}::varchar as value, count(*) as n
        from {quote_name(source)} group by all)"""
        for name in columns
    )
    connection.execute(f"create or replace temp table profiled as select *, ({blank}) as is_blank from ({counts})")


def _count_values(connection: DuckDBPyConnection, columns: Sequence[str]) -> list[ColumnProfile]:
    """What the values of each column count, without the formats and the spellings that only some columns have."""
    is_sentinel = f"not is_blank and regexp_matches(trim(value), {quote_text(PATTERNS['sentinel'])})"
    patterns = [
        f"coalesce(sum(n) filter (not is_blank and regexp_matches({_operand(name)}, {quote_text(pattern)})), 0)::bigint"
        for name, pattern in PATTERNS.items()
    ]
    rows = connection.execute(
        f"""select name, sum(n)::bigint, coalesce(sum(n) filter (not is_blank), 0)::bigint,
        (count(*) filter (not is_blank))::bigint, {_frequent("is_blank and trim(value) <> ''")},
        {_frequent(is_sentinel)}, {_frequent("not is_blank")}, {", ".join(patterns)} from profiled group by name"""
    ).fetchall()
    profiles = {name: _to_profile(name, counts) for name, *counts in rows}
    empty = dict.fromkeys(PATTERNS, 0)
    return [profiles.get(name) or ColumnProfile(name, 0, 0, 0, empty) for name in columns]


def _to_profile(name: str, counts: list) -> ColumnProfile:
    rows, filled, distinct, blanks, sentinels, values, *by_pattern = counts
    return ColumnProfile(
        name,
        rows,
        filled,
        distinct,
        dict(zip(PATTERNS, by_pattern, strict=True)),
        blanks=tuple(blanks),
        sentinels=tuple(sentinels),
        values=tuple(values),
    )


def _operand(pattern: str) -> str:
    return "value" if pattern == "outer_space" else "trim(value)"


def _frequent(condition: str) -> str:
    """The most frequent values under a condition, as an aggregate that does not sort all of them."""
    lowest = f"min({{'n': -n, 'value': value}}, {KEPT_VALUES}) filter ({condition})"
    return f"list_transform(coalesce({lowest}, []), lambda counted: counted.value)"


def _among(columns: Sequence[ColumnProfile]) -> str:
    return f"not is_blank and name in ({', '.join(quote_text(column.name) for column in columns)})"


def _spellings(connection: DuckDBPyConnection, columns: Sequence[ColumnProfile]) -> dict[str, dict[str, str]]:
    query = f"""select name, value, usual from (select name, value, first_value(value) over (partition by name,
        lower(trim(value)) order by n desc, value) as usual from profiled where {_among(columns)})
        where value <> usual order by 1, 2"""
    spellings: dict[str, dict[str, str]] = {}
    for name, value, usual in connection.execute(query).fetchall() if columns else ():
        spellings.setdefault(name, {})[value] = usual
    return spellings


def _may_have_formats(column: ColumnProfile) -> bool:
    """Whether there are values that could be dates and are not written as ISO 8601 or as day and month in digits."""
    filled = _without_sentinels(column)
    return filled > 0 and column.counts["iso"] + column.counts["ordered"] < MIN_SHARE * filled


def _without_sentinels(column: ColumnProfile) -> int:
    return column.filled - column.counts["sentinel"]


def _date_formats(connection: DuckDBPyConnection, columns: Sequence[ColumnProfile]) -> dict[str, tuple[str, ...]]:
    """The formats that fit the most values of each column, if these are nearly all; epochs need a plausible range."""
    if not columns:
        return {}
    value = "trim(value)"
    is_integer, number = f"regexp_matches({value}, '{DIGITS}')", f"try_cast({value} as bigint)"
    conditions = {
        EPOCH_SECONDS: f"{is_integer} and {number} between {FROM_2000} and {UNTIL_2100}",
        EPOCH_MILLISECONDS: f"{is_integer} and {number} between {FROM_2000}000 and {UNTIL_2100}000",
    }
    conditions |= {form: _parses(value, form) for form in FORMATS}
    counted = ", ".join(f"coalesce(sum(n) filter ({test}), 0)::bigint" for test in conditions.values())
    query = f"select name, {counted} from profiled where {_among(columns)} group by name"
    fitting = {
        name: dict(zip(conditions, counts, strict=True)) for name, *counts in connection.execute(query).fetchall()
    }
    return {column.name: _best_formats(fitting[column.name], _without_sentinels(column)) for column in columns}


def _best_formats(fitting: Mapping[str, int], filled: int) -> tuple[str, ...]:
    highest = max(fitting.values())
    return tuple(form for form, count in fitting.items() if count == highest >= MIN_SHARE * filled)


def _parses(value: str, form: str) -> str:
    plausible = f"try_strptime({value}, {quote_text(form)}) between timestamp '1990-01-01' and timestamp '2100-01-01'"
    # Ids of eight digits can be read as days; only columns of nothing else are.
    return f"(length({value}) = 8 and {plausible})" if form == "%Y%m%d" else f"coalesce({plausible}, false)"
