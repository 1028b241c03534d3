"""Threads for work that blocks, in bounded pools of their own: what waits for the ledger's database stops nothing else.

A pool takes work as long as the accounts of its unfinished requests, and their number, stay below a limit. More is
refused at once, before anything is computed for it.
"""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from configs.errors import Overloaded

THREADS = 4
MAX_REQUESTS = 200  # a request in a pool takes milliseconds, so as many are answered before they time out
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class ThreadPool:
    """A few threads, and how much work they take before they refuse more."""

    def __init__(self, name: str, max_accounts: int, max_requests: int = MAX_REQUESTS) -> None:
        self.max_accounts, self.max_requests = max_accounts, max_requests
        self.accounts = self.requests = self.refused = 0
        self._lock = threading.Lock()
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix=name)

    async def run(
        self, accounts: int, function: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        """Call a function about so many accounts in a thread. Raises Overloaded at once if there is too much work.

        If the caller is cancelled, a call that waits is dropped; one that runs counts until it ends.
        """
        self._admit(accounts)
        call = self._executor.submit(contextvars.copy_context().run, function, *args, **kwargs)
        call.add_done_callback(lambda _: self._release(accounts))
        return await asyncio.wrap_future(call)

    def leave_room(self, accounts: int) -> int:
        """So many accounts, but at most a quarter of the limit: for rare work that must not keep all other out.

        >>> ThreadPool("pages", 20_000).leave_room(96_340)
        5000
        """
        return min(accounts, max(1, self.max_accounts // THREADS))

    def _admit(self, accounts: int) -> None:
        with self._lock:
            # Alone, any request is taken: its own size is limited elsewhere.
            if self.requests and (self.accounts + accounts > self.max_accounts or self.requests >= self.max_requests):
                self.refused += 1
                message = f"The service is busy: requests {self.requests:,}, with {self.accounts:,} accounts."
                raise Overloaded(message, "Try again in a second, or with fewer accounts in a request.")
            self.accounts += accounts
            self.requests += 1

    def _release(self, accounts: int) -> None:
        with self._lock:
            self.accounts -= accounts
            self.requests -= 1


@dataclass(frozen=True)
class ThreadPools:
    """The pools of a process, by what their work may wait for."""

    scoring: ThreadPool  # the processor, and room in the write-ahead log
    ledger: ThreadPool  # the ledger's database
    local: ThreadPool  # small files of the state folder
    events: ThreadPool  # the raw tables, of which one account is read at a time, for pages of accounts

    @property
    def refused(self) -> dict[str, int]:
        """How many requests each pool has refused."""
        return {name: pool.refused for name, pool in vars(self).items()}


def open_thread_pools(max_accounts: int) -> ThreadPools:
    """Pools that each take work about so many accounts. Their threads start when they are needed."""
    return ThreadPools(*(ThreadPool(name, max_accounts) for name in ("scoring", "ledger", "local", "events")))
