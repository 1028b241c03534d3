"""What a draft of a mapping has to decide: questions with their evidence, and the answers that were taken."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

YES, NO = "yes", "no"


@dataclass(frozen=True)
class Question:
    """A question that changes numbers. Without `choices` any text answers it; without a `default` nothing is assumed.

    `key` names it in `--answer KEY=CHOICE`.
    """

    key: str
    text: str
    evidence: str
    choices: Mapping[str, str] = field(default_factory=dict)
    default: str | None = None


@dataclass(frozen=True)
class Answer:
    """What was decided, and whether a person said so or it was assumed."""

    question: Question
    choice: str
    is_assumed: bool

    @property
    def meaning(self) -> str:
        """The choice in words."""
        return self.question.choices.get(self.choice, self.choice)

    def __str__(self) -> str:
        verb = "Assumed" if self.is_assumed else "Answered"
        return f"{verb} {self.question.key} = {self.choice}: {self.meaning}. Evidence: {self.question.evidence}."


@dataclass(frozen=True)
class DataNote:
    """A fact that a person should know before training; `subject` is a table, a source or a column."""

    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.text}"


Decide = Callable[[Question], Answer]
Query = Callable[[str], Sequence[tuple]]


@dataclass
class DecisionLog:
    """The answers and notes of a draft, collected while it is made.

    `currencies` are those of the amounts that each table or export was converted to; None if no rate is 1.
    """

    decide: Decide
    answers: list[Answer] = field(default_factory=list)
    notes: list[DataNote] = field(default_factory=list)
    currencies: dict[str, str | None] = field(default_factory=dict[str, str | None])

    def ask(self, question: Question) -> str:
        """The choice for a question."""
        answer = self.decide(question)
        self.answers.append(answer)
        return answer.choice

    def note(self, subject: str, text: str) -> None:
        """Keep a fact about a table, a source or a column."""
        self.notes.append(DataNote(subject, text))
