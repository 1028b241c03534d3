"""What a view of the retention depends on: with an equal key it is the same."""

from typing import NamedTuple

from serving.accounts.portfolio import PortfolioKey
from serving.schemas.page_queries import RetentionQuery


class RetentionKey(NamedTuple):
    """When the revenue was written, of which portfolio the risks are, whose accounts may be seen, what was asked for.

    `portfolio` is None if there are no risks.
    """

    written: int
    portfolio: PortfolioKey | None
    owner: str | None
    query: str


def retention_key(
    written: int, portfolio: PortfolioKey | None, owner: str | None, query: RetentionQuery
) -> RetentionKey:
    """The key of a view; every format shows the same."""
    return RetentionKey(written, portfolio, owner, query.model_dump_json(exclude={"format"}))
