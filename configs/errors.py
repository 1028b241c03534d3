"""The tree of refusals: everything Oarlock says no to, with its exit code and HTTP status.

OarlockError
├── ConfigError        the settings or a mapping cannot be read               exit 2
├── DataError          a raw table breaks the contract                        exit 3
├── NothingToLearn     the data holds no answer a model could learn from      exit 4
│   └── LabelsRefused  the answers would teach a model something else
├── NotReady           a step that must come first has not been taken         exit 5, HTTP 503
│   ├── NoChampion     no model has been promoted yet
│   └── StoreDown      the store of signals cannot be read
├── PromotionRefused   the model has not earned the champion's place          exit 6
├── Busy               another process is at the same work                    exit 7, HTTP 503
└── RequestError       a request that cannot be answered as it stands         exit 9, HTTP 4xx
"""


class OarlockError(Exception):
    """A refusal in one sentence (what is wrong, and where) with a hint (what to do next)."""

    code = "error"
    exit_code = 1
    status = 500

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip())
        self.message = message
        self.hint = hint


class ConfigError(OarlockError):
    """The settings or a mapping cannot be read."""

    code = "config_error"
    exit_code = 2


class DataError(OarlockError):
    """A raw table breaks the contract of `features/tables/contract.py`."""

    code = "data_error"
    exit_code = 3


class NothingToLearn(OarlockError):
    """The data holds no answer a model could learn from."""

    code = "nothing_to_learn"
    exit_code = 4


class LabelsRefused(NothingToLearn):
    """The answers would teach a model something else than who will leave (see `training/data/label_checks.py`)."""

    code = "labels_refused"


class NotReady(OarlockError):
    """A step that must come first has not been taken."""

    code = "not_ready"
    exit_code = 5
    status = 503


class NoChampion(NotReady):
    """No model has been promoted yet."""

    code = "no_champion"


class StoreDown(NotReady):
    """The store of signals cannot be read."""

    code = "store_down"


class PromotionRefused(OarlockError):
    """The model has not earned the champion's place."""

    code = "promotion_refused"
    exit_code = 6


class Busy(OarlockError):
    """Another process is at the same work, and two at once would get in each other's way."""

    code = "busy"
    exit_code = 7
    status = 503


class RequestError(OarlockError):
    """A request that cannot be answered as it stands; `status` is its HTTP status, `code` its machine name."""

    exit_code = 9

    def __init__(self, message: str, hint: str = "", *, code: str = "bad_request", status: int = 400) -> None:
        super().__init__(message, hint)
        self.code = code
        self.status = status
