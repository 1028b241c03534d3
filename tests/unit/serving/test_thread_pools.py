"""Thread pools refuse work beyond their limits at once, and a reply is given or abandoned, never both."""

import asyncio
import threading

import pytest

from configs.errors import Overloaded, ReplyAbandoned
from serving.load.pending_reply import PendingReply
from serving.load.thread_pools import ThreadPool


def test_it_returns_what_the_function_returns():
    assert asyncio.run(ThreadPool("test", 10).run(1, divmod, 7, 2)) == (3, 1)


@pytest.mark.parametrize(
    ("accounts", "is_refused"), [([6, 4], False), ([6, 5], True), ([50], False), ([1, 1, 1], False), ([1] * 4, True)]
)
def test_it_refuses_more_accounts_or_requests_than_its_limits(accounts: list[int], is_refused: bool):
    pool, hold = ThreadPool("test", 10, max_requests=3), threading.Event()

    async def run_all() -> list[object]:
        calls = [asyncio.ensure_future(pool.run(count, hold.wait, 10)) for count in accounts]
        await asyncio.sleep(0.01)
        hold.set()
        return await asyncio.gather(*calls, return_exceptions=True)

    *results, last = asyncio.run(run_all())
    assert results == [True] * (len(accounts) - 1)
    assert isinstance(last, Overloaded) is is_refused
    assert (pool.accounts, pool.requests, pool.refused) == (0, 0, int(is_refused))


def test_work_about_all_accounts_leaves_room_for_others():
    pool, hold = ThreadPool("test", 20_000), threading.Event()

    async def run_beside() -> int:
        everything = asyncio.ensure_future(pool.run(pool.leave_room(96_340), hold.wait, 10))
        await asyncio.sleep(0.01)
        answer = await pool.run(10_000, int)
        hold.set()
        await everything
        return answer

    assert asyncio.run(run_beside()) == 0


def test_a_cancelled_call_that_runs_counts_until_it_ends():
    pool, hold = ThreadPool("test", 10), threading.Event()

    async def cancel_and_run() -> int:
        call = asyncio.ensure_future(pool.run(10, hold.wait, 10))
        await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(Overloaded):
            await pool.run(1, int)
        hold.set()
        while pool.requests:
            await asyncio.sleep(0.01)
        return await pool.run(1, int)

    assert asyncio.run(cancel_and_run()) == 0


def test_a_cancelled_call_that_waits_is_dropped():
    pool, hold, calls = ThreadPool("test", 1_000), threading.Event(), []

    async def cancel_waiting() -> None:
        running = [asyncio.ensure_future(pool.run(1, hold.wait, 10)) for _ in range(4)]
        waiting = asyncio.ensure_future(pool.run(1, calls.append, 1))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.sleep(0.01)
        hold.set()
        await asyncio.gather(*running)

    asyncio.run(cancel_waiting())
    assert (calls, pool.requests) == ([], 0)


def test_a_committed_reply_cannot_be_abandoned():
    reply = PendingReply()
    reply.commit()
    assert not reply.expire()
    assert not reply.is_expired
    reply.commit()


def test_an_abandoned_reply_cannot_be_committed():
    reply = PendingReply()
    assert reply.abandon()
    with pytest.raises(ReplyAbandoned):
        reply.commit()
    assert not reply.expire()
