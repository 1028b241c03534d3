"""Columns of the company's own that a ready mapping needs: found by their names, or named."""

import re
from collections.abc import Sequence

from configs.errors import ConfigError
from features.discovery.loaded_sources import LoadedSource
from features.drafting.selects.decisions import DecisionLog, Question
from features.ready.part import NamedColumn, ReadyPart

ANSWER = re.compile(r"(\w+)(/\d+)?")


def name_columns(part: ReadyPart, sources: Sequence[LoadedSource], decisions: DecisionLog) -> ReadyPart:
    """The part with the columns that a person named. Raises ConfigError for one that is not there."""
    columns = {source.name: source.columns for source in sources}
    for name, named in part.content.named_columns.items():
        if named.source in columns and part.has_text(named.name):
            question = _question(f"{name}.{part.name}", named, columns[named.source])
            part = part.with_text(rf"\b{named.name}\b", _read(named, decisions.ask(question), columns[named.source]))
    return part


def _question(key: str, named: NamedColumn, columns: Sequence[str]) -> Question:
    likely = [column for column in columns if re.search(named.likely, column, re.IGNORECASE)]
    evidence = f"{named.evidence}. The columns are {', '.join(columns)}"
    return Question(key, named.question, evidence, default=likely[0] if len(likely) == 1 else None)


def _read(named: NamedColumn, answer: str, columns: Sequence[str]) -> str:
    """The column of an answer, as a number."""
    match = ANSWER.fullmatch(answer.replace(" ", ""))
    if match is None or match[1] not in columns:
        raise ConfigError(f"'{answer}' names no column of {named.source}.", f"It has {', '.join(columns)}.")
    return f'{named.source}."{match[1]}"::double{match[2] or ""}'
