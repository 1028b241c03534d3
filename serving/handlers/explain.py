"""Explaining: everything one risk is made of, within every horizon, beside what is usual among its peers."""

from collections.abc import Sequence
from typing import Any

from serving.accounts.portfolio import Portfolio
from serving.explanations.peer_percentiles import ALL_SEGMENTS, PeerPercentiles
from serving.handlers.context import ServiceContext


def explain_accounts(desk: ServiceContext, account_ids: Sequence[str], request_id: str) -> dict[str, Any]:
    """Every family and signal of these accounts' risks; percentiles are null until the portfolio is there."""
    found = desk.scorer.score_accounts(list(dict.fromkeys(account_ids)))
    reply = desk.scorer.to_response(found, None)
    desk.scorer.append_to_ledger(found.champion, reply["scores"], request_id)
    ids = [one["account_id"] for one in reply["scores"]]
    facts, marks = desk.account_table.fetch(ids), desk.marks(ids)
    there = desk.portfolios.now()
    peers = there.peers if isinstance(there, Portfolio) else None
    explained = []
    for row, score in enumerate(reply["scores"]):
        about = facts.get(score["account_id"])
        play = desk.suggest_play(score, about, marks.get(score["account_id"]))
        segment = about.segment if about else None
        told = _with_peer_percentiles(score, found.scores.model.inputs, peers, segment)
        explained.append({**told, "horizons": _risks_by_horizon(found.scores, row), "play": play})
    return {key: reply[key] for key in ("as_of", "model", "not_scored")} | {"explained": explained}


def _with_peer_percentiles(
    score: dict[str, Any], inputs: Sequence[Any], peers: PeerPercentiles | None, segment: str | None
) -> dict[str, Any]:
    known = {one.name: one for one in inputs}

    def with_peers(signal: dict[str, Any]) -> dict[str, Any]:
        one = known[signal["name"]]
        ranked = peers if one.kind == "number" else None
        percentile = ranked.percentile(segment, one.name, signal["value"]) if ranked else None
        return {**signal, "percentile": percentile, "actionable": one.actionable, "sentence": one.sentence}

    sides = {
        side: [{**one, "signals": [with_peers(signal) for signal in one["signals"]]} for one in score[side]]
        for side in ("drivers", "protective")
    }
    group = segment if peers is not None and segment in peers.segments else ALL_SEGMENTS
    return {**score, **sides, "peers": group}


def _risks_by_horizon(scores: Any, row: int) -> list[dict[str, Any]]:
    """A row's risk within every horizon with each family's points of it."""
    shares = {family: float(scores.shares[row, columns].sum()) for family, columns in scores.members.items()}
    return [
        {
            "days": days,
            "risk": float(scores.risks_within[row, place]),
            "base": float(scores.bases_within[row, place]),
            "points": {family: share * float(scores.points_per_share[row, place]) for family, share in shares.items()},
        }
        for place, days in enumerate(scores.model.calibrator.horizons)
    ]
