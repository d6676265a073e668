import asyncio
import gc
import weakref
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaedge_launcher.pool import Overloaded, Pool, Unavailable


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 20))


def test_before_the_first_instance_requests_are_told_that_it_loads() -> None:
    async def test() -> None:
        with pytest.raises(Unavailable, match="loaded"):
            async with Pool(limit=1).lease():
                pass

    run(test())


def test_waiting_requests_are_served_in_their_order() -> None:
    async def test() -> None:
        pool = Pool(limit=1)
        pool.add("a")
        served: list[int] = []

        async def request(number: int) -> None:
            async with pool.lease():
                served.append(number)
                await asyncio.sleep(0)

        await asyncio.gather(*map(request, range(20)))
        assert served == list(range(20))

    run(test())


def test_a_full_queue_refuses() -> None:
    async def test() -> None:
        pool = Pool(limit=1, max_waiting=2)
        pool.add("a")

        async def request() -> None:
            async with pool.lease():
                await asyncio.sleep(0.01)

        results = await asyncio.gather(*(request() for _ in range(5)), return_exceptions=True)
        assert [type(each) for each in results] == [type(None)] * 3 + [Overloaded] * 2

    run(test())


def test_requests_that_do_not_compute_pass_those_that_do() -> None:
    async def test() -> None:
        pool = Pool(limit=2, max_waiting=0)
        pool.add("a")
        async with pool.lease(), pool.lease(), pool.lease(computes=False) as instance:
            assert instance.path == "a"

    run(test())


def test_a_guest_of_one_request_counts_every_request() -> None:
    async def test() -> None:
        pool = Pool(limit=1, max_waiting=0)
        pool.add("a")
        async with pool.lease():
            with pytest.raises(Overloaded):
                async with pool.lease(computes=False):
                    pass

    run(test())


def test_waiting_requests_outlast_the_last_instance() -> None:
    async def test() -> None:
        pool = Pool(limit=1)
        pool.add("a")
        async with pool.lease():
            waiting = asyncio.create_task(pool.lease().__aenter__())
            await asyncio.sleep(0)
            pool.remove("a", Unavailable("it trapped", retry_after=3))
            with pytest.raises(Unavailable, match="it trapped") as raised:
                await pool.lease().__aenter__()
            assert raised.value.retry_after == 3
        assert not waiting.done()
        pool.add("b")
        assert (await waiting).path == "b"

    run(test())


def test_waiting_requests_learn_that_no_instance_will_come() -> None:
    async def test() -> None:
        pool = Pool(limit=1)
        pool.add("a")
        async with pool.lease():
            waiting = asyncio.create_task(pool.lease().__aenter__())
            await asyncio.sleep(0)
            pool.close(Unavailable("it ended"))
            with pytest.raises(Unavailable, match="it ended"):
                await waiting

    run(test())


def test_waiting_requests_outlast_all_instances() -> None:
    async def test() -> None:
        pool = Pool(limit=1)
        pool.add("a")
        async with pool.lease():
            waiting = asyncio.create_task(pool.lease().__aenter__())
            await asyncio.sleep(0)
            pool.drop(Unavailable("it ended"))
            with pytest.raises(Unavailable, match="it ended"):
                await pool.lease().__aenter__()
        assert not waiting.done()
        pool.add("b")
        assert (await waiting).path == "b"

    run(test())


def test_a_request_that_comes_again_waits_for_the_next_instance() -> None:
    async def test() -> None:
        pool = Pool(limit=8)
        waiting = asyncio.create_task(pool.lease(computes=False, again=True).__aenter__())
        await asyncio.sleep(0)
        assert pool.waiting == 1
        pool.add("a")
        assert (await waiting).path == "a"

    run(test())


def test_only_the_requests_of_an_instance_that_hangs_are_cut() -> None:
    async def test() -> None:
        pool = Pool(limit=1)
        pool.add("a")
        pool.add("b")
        ended: list[str] = []

        async def request() -> None:
            async with pool.lease() as instance:
                try:
                    async with instance.connected():
                        await asyncio.sleep(3600 if instance.path == "a" else 0.05)
                    ended.append(instance.path)
                except TimeoutError:
                    ended.append(f"{instance.path} is cut")

        requests = [asyncio.create_task(request()) for _ in range(2)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        pool.remove("a", Unavailable("it hung"), cut=True)
        await asyncio.gather(*requests)
        assert ended == ["a is cut", "b"]

    run(test())


def test_nothing_is_kept_of_requests_that_are_refused() -> None:
    class Body:
        pass

    async def refused(pool: Pool) -> "weakref.ref[Body]":
        body = Body()
        with pytest.raises(Unavailable):
            async with pool.lease():
                pass
        return weakref.ref(body)

    async def test() -> None:
        pool = Pool(limit=1)
        kept = [await refused(pool) for _ in range(3)]
        gc.collect()
        assert [each() for each in kept] == [None] * 3

    run(test())


def test_a_check_tells_whether_a_request_would_get_a_place() -> None:
    async def test() -> None:
        pool = Pool(limit=1, max_waiting=0)
        with pytest.raises(Unavailable):
            pool.check()
        pool.add("a")
        pool.check()
        async with pool.lease():
            with pytest.raises(Overloaded):
                pool.check()

    run(test())


@given(
    limit=st.integers(1, 3),
    instances=st.integers(1, 3),
    requests=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.booleans()), max_size=30),
)
def test_any_schedule_keeps_the_limit_and_frees_every_place(
    limit: int, instances: int, requests: list[tuple[int, int, bool]]
) -> None:
    """A request arrives after so many steps, takes so many, and is cancelled or not."""

    async def test() -> None:
        pool = Pool(limit=limit)
        for number in range(instances):
            pool.add(str(number))
        running: dict[str, int] = {}

        async def request(arrival: int, steps: int) -> None:
            for _ in range(arrival):
                await asyncio.sleep(0)
            async with pool.lease() as instance:
                path = instance.path
                running[path] = running.get(path, 0) + 1
                assert running[path] <= limit
                try:
                    for _ in range(steps):
                        await asyncio.sleep(0)
                finally:
                    running[path] -= 1

        tasks = []
        for arrival, steps, cancelled in requests:
            tasks.append(asyncio.create_task(request(arrival, steps)))
            if cancelled:
                asyncio.get_running_loop().call_later(0, tasks[-1].cancel)
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert result is None or isinstance(result, asyncio.CancelledError)
        assert not any(running.values())
        held = [pool.lease() for _ in range(limit * instances)]
        for lease in held:
            await asyncio.wait_for(lease.__aenter__(), 1)
        for lease in held:
            await lease.__aexit__(None, None, None)

    run(test())
