"""Risks of two days in a ledger: those of now, and half of them on an earlier day."""

from datetime import datetime

from serving.ledger.ledger import Ledger
from serving.schemas.responses import Driver, Score
from tests.support.api_client import ApiClient
from tests.support.ledger_rows import source_at


def serve_two_days(client: ApiClient, ledger: Ledger, days: tuple[datetime, datetime], accounts: int = 60) -> list[str]:
    """Record the highest risks for the later day, and half of each for the earlier; gives the ids, highest first."""
    ids = [account["account_id"] for account in client.get("/accounts", limit=accounts, sort="risk")["accounts"]]
    scores = client.context.scorer.to_response(client.context.scorer.score_accounts(ids), 3)["scores"]
    earlier, later = days
    ledger.append([_halve(score) for score in scores], source_at(earlier))
    ledger.append(scores, source_at(later))
    return ids


def _halve(score: Score) -> Score:
    """A score with half the risk, base and points, which so still add up."""

    def halve(drivers: list[Driver]) -> list[Driver]:
        return [{**driver, "points": driver["points"] / 2, "signals": []} for driver in drivers]

    return {
        **score,
        "band": "low",
        "risk": score["risk"] / 2,
        "base": score["base"] / 2,
        "remaining_points": score["remaining_points"] / 2,
        "drivers": halve(score["drivers"]),
        "protective_drivers": halve(score["protective_drivers"]),
    }
