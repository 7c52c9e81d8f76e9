"""One look for everybody."""

import asyncio
import gc
import time

import pytest

from hum_shared.status.tasks import Evidence
from hum_shared.status.views import RunView
from hum_shared.status.watcher import Watcher


class Counting:
    """A source that counts how often it is looked at."""

    name = "counting"

    def __init__(self, took_s: float = 0.0):
        self.looks, self._took_s = 0, took_s

    def read(self) -> tuple[dict[str, Evidence], list[RunView], list[str]]:
        self.looks += 1
        time.sleep(self._took_s)
        return {f"predict/{self.looks}": Evidence("predict", str(self.looks))}, [], []

    def log(self, evidence: Evidence, max_bytes: int) -> None:
        raise AssertionError("nobody asked for a log")


def test_who_asks_at_the_same_time_shares_a_look() -> None:
    source = Counting()

    async def ask() -> None:
        watcher = Watcher(source)
        snapshots = await asyncio.gather(*(watcher.fresh() for _ in range(200)))
        assert len({snapshot.version for snapshot in snapshots}) == 1
        watcher.close()

    asyncio.run(ask())
    assert source.looks == 1


def test_where_looking_is_quick_every_answer_is_new() -> None:
    source = Counting()

    async def ask() -> list[str]:
        watcher = Watcher(source)
        found = [next(iter((await watcher.fresh()).tasks)) for _ in range(3)]
        watcher.close()
        return found

    assert asyncio.run(ask()) == ["predict/1", "predict/2", "predict/3"]


def test_where_looking_takes_long_answers_are_of_a_moment_ago() -> None:
    source = Counting(took_s=0.1)

    async def ask() -> None:
        watcher = Watcher(source)
        first = await watcher.fresh()
        assert await watcher.fresh() is first
        assert source.looks == 1
        watcher.close()

    asyncio.run(ask())


def test_after_a_silence_the_first_answer_comes_at_once_and_the_next_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Counting(took_s=0.1)
    monkeypatch.setattr("hum_shared.status.watcher._MOMENT_S", 0.0)
    monkeypatch.setattr("hum_shared.status.watcher._PAUSE_PER_LOOK", 0)

    async def ask() -> None:
        watcher = Watcher(source)
        first = await watcher.fresh()
        assert await watcher.fresh() is first
        await asyncio.sleep(0.3)
        assert (await watcher.fresh()).version > first.version
        watcher.close()

    asyncio.run(ask())


def test_a_forgotten_server_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Counting(took_s=0.1)
    monkeypatch.setattr("hum_shared.status.watcher._FORGOTTEN_S", 0.0)
    monkeypatch.setattr("hum_shared.status.watcher._INTERVAL_S", 0.01)

    async def ask() -> None:
        watcher = Watcher(source)
        await watcher.fresh()
        await watcher.fresh()
        await asyncio.sleep(0.3)
        assert source.looks == 1
        watcher.close()

    asyncio.run(ask())


def test_thousands_of_tasks_are_no_work_for_the_garbage_collector() -> None:
    class Many(Counting):
        def read(self) -> tuple[dict[str, Evidence], list[RunView], list[str]]:
            return {f"predict/{n}": Evidence("predict", str(n)) for n in range(1000)}, [], []

    async def ask(source: Counting) -> int:
        before = gc.get_freeze_count()
        watcher = Watcher(source)
        await watcher.fresh()
        watcher.close()
        return gc.get_freeze_count() - before

    try:
        assert asyncio.run(ask(Counting())) <= 0
        assert asyncio.run(ask(Many())) > 1000
    finally:
        gc.unfreeze()


def test_a_client_that_leaves_does_not_stop_the_look_for_the_others() -> None:
    async def ask() -> None:
        watcher = Watcher(Counting(took_s=0.1))
        leaving, staying = asyncio.create_task(watcher.fresh()), asyncio.create_task(watcher.fresh())
        await asyncio.sleep(0.02)
        leaving.cancel()
        assert (await staying).version == 1
        watcher.close()

    asyncio.run(ask())


def test_closing_ends_the_events() -> None:
    async def listen() -> int:
        watcher = Watcher(Counting())
        n_events = 0
        async for _ in watcher.events():
            n_events += 1
            watcher.close()
        assert watcher.n_listeners == 0
        return n_events

    assert asyncio.run(listen()) == 1
