"""Acting on a verdict: registers a version that answers it, and promotes nothing."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from configs.clock import now
from configs.files import exclusive_lock
from configs.progress import Progress
from configs.settings import Settings
from configs.state_dir import StateDir
from monitoring.shadow.shadow_version import start_shadow
from monitoring.verdicts.verdict import HealthDecision, is_acknowledged
from serving.ledger.monitor_runs import MonitorRun, Subject
from serving.schemas.enums import HealthVerdict
from training.pipelines.recalibrate import recalibrate
from training.pipelines.train import train
from training.registry.comparison_record import ComparisonRecord
from training.registry.comparison_record import Verdict as ComparisonVerdict
from training.registry.mlflow_registry import open_registry
from training.registry.version import Version

ActionKind = Literal["nothing", "recalibrated", "retrained", "challenger opened"]
REASONS: dict[HealthVerdict, str] = {
    "mend a source": "Nothing was trained: only a mended source helps.",
    "cannot tell yet": "Nothing was done: it is too early to act.",
    "ok": "Nothing was done: nothing is wrong.",
    "plays work": "Nothing was done: nothing is wrong.",
}
REFUSED: frozenset[ComparisonVerdict] = frozenset({"inferior", "not_comparable"})


@dataclass(frozen=True)
class Action:
    """What was done about a verdict, the version that it registered, and the command that comes next."""

    kind: ActionKind
    text: str
    version: int | None = None
    next_command: str = ""


def act_on(
    decision: HealthDecision, settings: Settings, state: StateDir, known_until: datetime, progress: Progress
) -> Action:
    """Recalibrate, retrain or open a challenger, which scores in shadow, by the verdict; the champion stays.

    A run that was stopped can be repeated: on the same data it finds the version that was registered.
    Raises Busy if another process acts, NothingToLearn if too few labels are known.
    """
    if decision.verdict in REASONS:
        return Action("nothing", REASONS[decision.verdict], next_command=decision.command)
    with exclusive_lock(state.folder / "monitor_act.lock", "acting on a verdict in"):
        if decision.verdict == "level moved: recalibrate":
            champion = open_registry(state, settings.name).champion()
            version, comparison = recalibrate(settings, state, champion, known_until, progress)
            return _describe("recalibrated", version, comparison)
        result = train(settings, state, known_until, progress)
        if decision.verdict == "cause changed: retrain" or result.comparison is None:
            return _describe("retrained", result.version, result.comparison)
        start_shadow(state, open_registry(state, settings.name), result.version, now())
        return _describe("challenger opened", result.version, result.comparison)


def find_earlier_action(run: MonitorRun, acted: Iterable[MonitorRun]) -> Action | None:
    """That nothing is done, if a version was registered already because of a verdict; None if it has to be acted on.

    `acted` are the earlier runs that led to a version, oldest first: of the same champion, and about all that this
    verdict is about.
    """
    earlier = [other for other in acted if (other.verdict, other.version) == (run.verdict, run.version)]
    subjects: list[Subject] = [(other.verdict, other.subject) for other in earlier]
    if not earlier or not is_acknowledged(run.verdict, run.subject, subjects):
        return None
    last = earlier[-1]
    text = f"Nothing was done: version {last.registered} was registered for this verdict on {last.run_at:%Y-%m-%d}."
    return Action("nothing", text, last.registered, f"oarlock compare {last.registered}")


def _describe(kind: ActionKind, version: Version, comparison: ComparisonRecord | None) -> Action:
    number = version.number
    if comparison is None:
        return Action(kind, f"Version {number} is the champion already.", number, "oarlock models list")
    text = f"Version {number} is registered ({kind}); the champion stays. Compared with it: {comparison['verdict']}."
    if kind == "challenger opened":
        return Action(kind, f"{text} It scores in shadow from now on.", number, "oarlock shadow show")
    next_step = "compare" if comparison["verdict"] in REFUSED else "promote"
    return Action(kind, text, number, f"oarlock {next_step} {number}")
