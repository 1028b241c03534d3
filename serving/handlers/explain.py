"""Explanations: every family and signal of a risk, within every horizon, compared with peers, and what to do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from serving.explanations.peer_percentiles import ALL_SEGMENTS, PeerPercentiles
from serving.handlers.context import ServiceContext
from serving.handlers.plays import active_marks, suggest_play_for
from serving.handlers.score import ScoringRequest, record_risks
from serving.schemas.responses import (
    Driver,
    ExplainedDriver,
    ExplainedScore,
    ExplainedSignal,
    ExplainResponse,
    HorizonRisk,
    Score,
    SignalPoints,
    SuggestedPlay,
)
from serving.scoring.champion import describe_model
from serving.scoring.scorer import ScoredAccounts
from serving.scoring.scores import Scores
from training.model.churn_model import ModelInput


@dataclass(frozen=True)
class _Peers:
    """What signals of an account are compared with; without percentiles until the portfolio is computed."""

    inputs: Mapping[str, ModelInput]
    percentiles: PeerPercentiles | None
    segment: str | None

    @property
    def group(self) -> str:
        is_segment = self.percentiles is not None and self.segment in self.percentiles.segments
        return self.segment if is_segment and self.segment else ALL_SEGMENTS


def explain_accounts(context: ServiceContext, account_ids: Sequence[str], request: ScoringRequest) -> ExplainResponse:
    """Every family and signal of these accounts' risks; percentiles are null until the portfolio is computed."""
    return explain_scored(context, context.scorer.score_accounts(list(dict.fromkeys(account_ids))), request)


def explain_scored(context: ServiceContext, scored: ScoredAccounts, request: ScoringRequest) -> ExplainResponse:
    """Every family and signal of scored accounts' risks, which are recorded."""
    response, scores = describe_scored(context, scored)
    record_risks(context, scored.champion, scores, request)
    return response


def describe_scored(context: ServiceContext, scored: ScoredAccounts) -> tuple[ExplainResponse, list[Score]]:
    """Every family and signal of scored accounts' risks, and the scores that have yet to be recorded."""
    response = context.scorer.to_response(scored, None)
    ids = [score["account_id"] for score in response["scores"]]
    details, marks = context.account_table.details(ids), active_marks(context, ids)
    portfolio, inputs = context.find_portfolio(), {signal.name: signal for signal in scored.scores.model.inputs}
    explained: list[ExplainedScore] = []
    for row, score in enumerate(response["scores"]):
        account = details.get(score["account_id"])
        play = suggest_play_for(context, score, account, marks.get(score["account_id"]))
        peers = _Peers(inputs, portfolio.peers if portfolio else None, account.segment if account else None)
        explained.append(_explain(score, peers, _risks_by_horizon(scored.scores, row), play))
    explanation: ExplainResponse = {
        "as_of": response["as_of"],
        "model": describe_model(scored.champion),
        "not_scored": response["not_scored"],
        "explained": explained,
    }
    return explanation, response["scores"]


def _explain(score: Score, peers: _Peers, horizons: list[HorizonRisk], play: SuggestedPlay | None) -> ExplainedScore:
    return {
        "account_id": score["account_id"],
        "status": score["status"],
        "stale_families": score["stale_families"],
        "missing_families": score["missing_families"],
        "risk": score["risk"],
        "risks": score["risks"],
        "band": score["band"],
        "revenue": score["revenue"],
        "base": score["base"],
        "drivers": [_explain_driver(driver, peers) for driver in score["drivers"]],
        "protective_drivers": [_explain_driver(driver, peers) for driver in score["protective_drivers"]],
        "remaining_points": score["remaining_points"],
        "main_reason": score["main_reason"],
        "signals_as_of": score["signals_as_of"],
        "causal": False,
        "peers": peers.group,
        "horizons": horizons,
        "play": play,
    }


def _explain_driver(driver: Driver, peers: _Peers) -> ExplainedDriver:
    return {
        "family": driver["family"],
        "points": driver["points"],
        "text": driver["text"],
        "signals": [_explain_signal(signal, peers) for signal in driver["signals"]],
        "remaining_points": driver["remaining_points"],
    }


def _explain_signal(signal: SignalPoints, peers: _Peers) -> ExplainedSignal:
    model_input, value, percentile = peers.inputs[signal["name"]], signal["value"], None
    peer_count = peers.percentiles.count(peers.segment, model_input.name) if peers.percentiles else None
    if peers.percentiles is not None and not isinstance(value, str):
        percentile = peers.percentiles.percentile(peers.segment, model_input.name, value) if peer_count else None
    return {
        **signal,
        "percentile": percentile,
        "peer_count": peer_count,
        "actionable": model_input.actionable,
        "sentence": model_input.sentence,
    }


def _risks_by_horizon(scores: Scores, row: int) -> list[HorizonRisk]:
    """A row's risk within every horizon, with each family's points."""
    families = scores.model.columns_by_family.items()
    shares = {family: float(scores.contributions[row, columns].sum()) for family, columns in families}
    return [
        {
            "days": days,
            "risk": float(scores.risks_by_horizon[row, index]),
            "base": float(scores.bases_by_horizon[row, index]),
            "points": {family: share * float(scores.points_per_margin[row, index]) for family, share in shares.items()},
        }
        for index, days in enumerate(scores.model.calibrator.horizons)
    ]
