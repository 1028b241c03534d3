"""The result of a check: what it looked at, whether that is well, and what to do next if it is not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from configs.errors import OarlockError
from configs.stored_files import explain_storage_error, storage_error_types

LOOK = "Look at what the message names; a file of the state comes back with `oarlock restore`."
Status = Literal["ok", "warn", "fault", "skipped"]


@dataclass(frozen=True)
class CheckResult:
    """A check by name: its status, what it saw and where, and the next step (empty if there is nothing to do)."""

    name: str
    status: Status
    what: str
    where: str = ""
    next_step: str = ""


def passed(name: str, what: str, where: object = "") -> CheckResult:
    """The result of a check that saw nothing wrong."""
    return CheckResult(name, "ok", what, str(where))


def skipped(name: str, what: str) -> CheckResult:
    """The result of a check that does not apply here, with the reason."""
    return CheckResult(name, "skipped", what)


def run_check(name: str, where: object, check: Callable[[], CheckResult]) -> CheckResult:
    """The result of a check; an error of Oarlock, or of a file, is a fault with its hint as the next step."""
    try:
        return check()
    except OarlockError as error:
        return CheckResult(name, "fault", error.message, str(where), error.hint)
    except storage_error_types() as error:
        explained = explain_storage_error(error)
        what = explained.message if explained else f"{type(error).__name__}: {str(error).splitlines()[0]}"
        return CheckResult(name, "fault", what, str(where), explained.hint if explained else LOOK)


def worst_status(results: Sequence[CheckResult]) -> Status:
    """The worst status among results."""
    statuses = {result.status for result in results}
    return "fault" if "fault" in statuses else "warn" if "warn" in statuses else "ok"
