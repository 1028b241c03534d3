"""The error tree: every error that Oarlock reports, with its exit code and HTTP status (503 unless it is given).

OarlockError
├── ConfigError        the settings or a mapping cannot be used           exit 2
├── DataError          a raw table breaks the contract                    exit 3
├── NothingToLearn     the data holds no labels to learn from             exit 4
│   └── LabelsRefused  the labels would teach the model something else
├── NotReady           a step that must come first is missing             exit 5
│   ├── NoChampion     no model has been promoted yet
│   ├── StoreDown      the online store cannot be read
│   ├── DamagedState   a file of the state folder cannot be read
│   ├── StorageFull    the disk is full                               exit 13
│   ├── LedgerBacklogFull  no further risk can be recorded
│   ├── DatabaseDown   the ledger's database cannot be used
│   ├── Overloaded     more work than the service takes at once
│   ├── BeingComputed  what is asked for is computed in the background   HTTP 202
│   └── ReplyAbandoned the client went away, or the request took too long
├── PromotionRefused   the version does not pass the promotion rules      exit 6
├── Busy               another process does the same work                 exit 7
└── RequestError       a request that cannot be answered                  exit 9, HTTP 4xx
"""


class OarlockError(Exception):
    """An error in one sentence (what is wrong, and where) with a hint (what to do next)."""

    code = "error"
    exit_code = 1
    status = 503  # the client can do nothing about it; the message says what is to be mended
    retry_after_seconds: int | None = None

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip())
        self.message = message
        self.hint = hint


class ConfigError(OarlockError):
    """The settings or a mapping cannot be used."""

    code = "config_error"
    exit_code = 2


class DataError(OarlockError):
    """A raw table breaks the contract of `features/tables/contract.py`."""

    code = "data_error"
    exit_code = 3


class NothingToLearn(OarlockError):
    """The data holds no labels to learn from."""

    code = "nothing_to_learn"
    exit_code = 4


class LabelsRefused(NothingToLearn):
    """The labels would teach the model something else than who will leave (see `training/data/label_checks.py`)."""

    code = "labels_refused"


class NotReady(OarlockError):
    """A step that must come first is missing."""

    code = "not_ready"
    exit_code = 5


class NoChampion(NotReady):
    """No model has been promoted yet."""

    code = "no_champion"


class StoreDown(NotReady):
    """The online store cannot be read."""

    code = "store_down"


class DamagedState(NotReady):
    """A file of the state folder cannot be read: it is cut short, or something else wrote to it."""

    code = "damaged_state"


class StorageFull(NotReady):
    """The disk is full, so nothing was written."""

    code = "storage_full"
    exit_code = 13


class LedgerBacklogFull(NotReady):
    """The database is so far behind that no further risk can be recorded, and so none is served."""

    code = "ledger_backlog_full"


class DatabaseDown(NotReady):
    """The database of the ledger cannot be used: it is down, or another process keeps it locked."""

    code = "database_down"
    retry_after_seconds = 5


class Overloaded(NotReady):
    """There is more work than the service takes at once."""

    code = "overloaded"
    retry_after_seconds = 1


class BeingComputed(NotReady):
    """What is asked for is computed in the background; it will be there when the client asks again."""

    code = "being_computed"
    status = 202
    retry_after_seconds = 2


class ReplyAbandoned(NotReady):
    """The client went away, or the request took too long."""

    code = "timeout"
    retry_after_seconds = 1


class PromotionRefused(OarlockError):
    """The version does not pass the promotion rules."""

    code = "promotion_refused"
    exit_code = 6


class Busy(OarlockError):
    """Another process does the same work, and two at once would conflict."""

    code = "busy"
    exit_code = 7


class RequestError(OarlockError):
    """A request that cannot be answered; `status` is its HTTP status, `code` its machine-readable name."""

    code = "bad_request"
    exit_code = 9
    status = 400

    def __init__(self, message: str, hint: str = "", *, code: str = "bad_request", status: int = 400) -> None:
        super().__init__(message, hint)
        self.code = code
        self.status = status
