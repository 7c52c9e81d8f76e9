"""One pair of eyes for all clients: looks at the workspace when somebody asks, and tells everybody what changed."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

from hum_shared.status.snapshot import Snapshot, Source, take
from hum_shared.status.views import Change

_INTERVAL_S = 1.0
_KEEP_ALIVE_S = 15.0
_QUICK_S = 0.05
_MOMENT_S = 10.0
_IDLE_S = 60.0
_FORGOTTEN_S = 3600.0
_PAUSE_PER_LOOK = 10
_IDLE_PAUSE_PER_LOOK = 100
_NAMED_CHANGES = 100
_MANY_TASKS = 1000


class Watcher:
    """Takes snapshots of a source, one at a time, for any number of clients. Belongs to one event loop.

    Clients that ask at the same time share one look, so that their number does not matter to the file system.
    Where a look is quick, every answer is of a look that began after the question. Where it is not (thousands of
    tasks), answers are of a moment ago and come at once: it goes on looking for an hour after the last question,
    after a minute at a hundredth of the time only. While somebody listens to events, it looks once a second, and
    never more than an eleventh of the time. Else, nobody asks, nothing is read.
    """

    def __init__(self, source: Source):
        self.source = source
        self.n_listeners = 0
        self._latest = Snapshot(source.name)
        self._latest_at = self._asked_at = 0.0
        self._next: asyncio.Task[Snapshot] | None = None
        self._looking = asyncio.Lock()
        self._changed = asyncio.Event()
        self._poller: asyncio.Task[None] | None = None
        self._closed = False
        self._n_young = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="status")

    async def fresh(self) -> Snapshot:
        """Return a snapshot from a look that began after the call; where looking takes long, one of a moment ago."""
        self._asked_at = time.monotonic()
        if self._latest.took_s > _QUICK_S:
            self._keep_looking()
            age_s = self._asked_at - self._latest_at
            if age_s > max(_MOMENT_S, 2.5 * _PAUSE_PER_LOOK * self._latest.took_s):
                self._begin()  # while nobody asked it looked rarely: whoever asks next gets this look
            if age_s < max(_MOMENT_S, 1.5 * _IDLE_PAUSE_PER_LOOK * self._latest.took_s):
                return self._latest
        return await self._newest()

    async def events(self) -> AsyncIterator[bytes]:
        """Yield server-sent events: one at once, then one per change; a slow client misses some, never the last."""
        self.n_listeners += 1
        try:
            self._keep_looking()
            snapshot = await self.fresh()
            yield b"retry: 3000\n\n" + _event(snapshot)
            while not self._closed:
                changed = self._changed
                if self._latest.version != snapshot.version:
                    snapshot = self._latest
                    yield _event(snapshot)
                    continue
                try:
                    await asyncio.wait_for(changed.wait(), _KEEP_ALIVE_S)
                except TimeoutError:
                    yield b": still here\n\n"
        finally:
            self.n_listeners -= 1

    def close(self) -> None:
        """End all event streams; to be called in the event loop."""
        self._closed = True
        self._changed.set()
        self._thread.shutdown(wait=False)

    def close_soon(self) -> None:
        """End all event streams; may be called from any thread, and from a signal handler."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.close)

    async def _newest(self) -> Snapshot:
        return await asyncio.shield(self._begin())  # one client that leaves must not stop it for the others

    def _begin(self) -> asyncio.Task[Snapshot]:
        if self._next is None:
            self._next = asyncio.create_task(self._look())
        return self._next

    async def _look(self) -> Snapshot:
        async with self._looking:
            self._next = None  # who asks from now on waits for the look after this one
            self._loop = asyncio.get_running_loop()
            before, began = self._latest, time.monotonic()
            self._latest = await self._loop.run_in_executor(self._thread, take, self.source, before)
            self._latest_at = began
            self._spare_collector(len(self._latest.changed) if self._latest.version != before.version else 0)
            if self._latest.version != before.version:
                changed, self._changed = self._changed, asyncio.Event()
                changed.set()
            return self._latest

    def _spare_collector(self, n_changed: int) -> None:
        """Keep thousands of tasks out of full garbage collections: of 10,000 one halts every answer for half a second.

        Nothing in a snapshot refers back to itself: what is frozen is freed as before once nobody needs it.
        """
        self._n_young += n_changed
        if self._n_young >= _MANY_TASKS:
            gc.freeze()
            self._n_young = 0

    def _keep_looking(self) -> None:
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())

    async def _poll(self) -> None:
        while not self._closed:
            await asyncio.sleep(_INTERVAL_S)
            now = time.monotonic()
            idle_s = now - self._asked_at
            if not self.n_listeners and (self._latest.took_s <= _QUICK_S or idle_s > _FORGOTTEN_S):
                return
            idle = not self.n_listeners and idle_s > _IDLE_S
            pause = _IDLE_PAUSE_PER_LOOK if idle else _PAUSE_PER_LOOK
            if not self._closed and now - self._latest_at >= (pause + 1) * self._latest.took_s:
                await self._newest()


def _event(snapshot: Snapshot) -> bytes:
    change = Change(
        version=snapshot.version,
        stages=snapshot.stages,
        changed=snapshot.changed[:_NAMED_CHANGES],
        n_changed=len(snapshot.changed),
        n_runs=len(snapshot.runs),
    )
    return f"event: change\nid: {snapshot.version}\ndata: {change.model_dump_json()}\n\n".encode()
