"""`prepare`: all datasets of a corpus, side by side in processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from pathlib import Path

from hum_shared.audio import probe
from hum_shared.command import die_with_parent
from hum_shared.config.variants import DatasetStrategy
from hum_shared.errors import MachineError, Stopped
from hum_shared.index import CorpusIndex
from hum_shared.layout import DATASET_PREFIX
from hum_shared.progress import track
from hum_shared.stopping import StopRequest
from hum_trainer.datasets import DatasetReport, inputs_digest, is_current, write_dataset
from hum_trainer.planning import eligible
from hum_trainer.swapping import remove_leftovers

_POLL_S = 0.2


@dataclass(frozen=True)
class _Task:
    name: str
    target: Path
    root: Path
    index: CorpusIndex
    strategy: DatasetStrategy
    durations_s: Mapping[str, float]
    spectrograms: bool
    digest: str


def prepare(
    root: Path,
    index: CorpusIndex,
    strategies: Mapping[str, DatasetStrategy],
    out: Path,
    *,
    spectrograms: bool = False,
    workers: int = 0,
    stop: StopRequest | None = None,
    finished: Callable[[str, DatasetReport | None], None] = lambda _name, _report: None,
) -> None:
    """Write `dataset_<name>/` below `out` for each strategy; those that are current are left alone.

    Parameters
    ----------
    root, index
        The corpus and its index.
    workers
        Processes; 0 means one per strategy, but not more than the CPUs this process may use.
    stop
        Asked after every clip.
    finished
        Called with the name and report of each dataset as it is complete; the report is None when the dataset was
        current already.

    Raises
    ------
    InputError
        When no hum is good enough for a strategy.
    AudioError
        When a recording cannot be read.
    Stopped
        When `stop` was requested; complete datasets stay, and the old ones of the others.
    MachineError
        When a worker process was killed.
    """
    durations_s: dict[str, float] = {}
    for entry in index.entries:
        for path in (entry.clip_path, entry.raw_path):
            if path is not None and path not in durations_s:
                durations_s[path] = probe(root / path).dur_s
    tasks: list[_Task] = []
    current: list[str] = []
    expected = 0.0
    for name, strategy in strategies.items():
        expected_now = len(eligible(index, strategy.min_quality)) * (1 + strategy.noise_per_hum)
        digest = inputs_digest(root, index, strategy, spectrograms=spectrograms)
        target = out / (DATASET_PREFIX + name)
        if is_current(target, digest):
            remove_leftovers(target)
            current.append(name)
            continue
        expected += expected_now
        tasks.append(_Task(name, target, root, index, strategy, durations_s, spectrograms, digest))
    with track("prepare", root.resolve().name, "clips", expected) as progress:
        for name in current:
            finished(name, None)
        if not tasks:
            progress.advance(0, "nothing to do: all datasets are current")

        def advance(clips: int) -> None:
            progress.advance(clips)
            if stop is not None:
                stop.check("complete datasets are kept, old ones stay where the new one was not complete")

        n_workers = min(workers or len(os.sched_getaffinity(0)), len(tasks))
        results = _in_processes(tasks, n_workers, advance) if n_workers > 1 else _here(tasks, advance)
        for name, report in results:
            finished(name, report)
        progress.total = progress.done  # skipped noise clips were expected, too


def _here(tasks: list[_Task], advance: Callable[[int], None]) -> Iterator[tuple[str, DatasetReport]]:
    for task in tasks:
        yield task.name, _write(task, lambda: advance(1))


def _write(task: _Task, after_clip: Callable[[], None]) -> DatasetReport:
    return write_dataset(
        task.target,
        task.root,
        task.index,
        task.strategy,
        task.durations_s,
        spectrograms=task.spectrograms,
        digest=task.digest,
        after_clip=after_clip,
    )


# --- processes -------------------------------------------------------------------------------------------


def _in_processes(
    tasks: list[_Task], workers: int, advance: Callable[[int], None]
) -> Iterator[tuple[str, DatasetReport]]:
    context = multiprocessing.get_context("spawn")
    clips_done: Synchronized[int] = context.Value("q", 0)
    cancelled = context.Event()
    counted = 0
    pool = ProcessPoolExecutor(workers, context, initializer=_start_worker, initargs=(clips_done, cancelled))
    with pool, _cancelling(pool, cancelled):
        waiting: dict[Future[DatasetReport], str] = {pool.submit(_write_in_worker, task): task.name for task in tasks}
        while waiting:
            done, _ = wait(waiting, timeout=_POLL_S, return_when=FIRST_COMPLETED)
            counted, before = clips_done.value, counted
            advance(counted - before)
            for future in done:
                yield waiting.pop(future), future.result()


@contextmanager
def _cancelling(pool: ProcessPoolExecutor, cancelled: Event) -> Iterator[None]:
    """Let no worker go on when the block ends early."""
    try:
        yield
    except BrokenProcessPool:
        cancelled.set()
        raise MachineError("a worker process was killed, perhaps for lack of memory. Use fewer: --workers 1") from None
    except BaseException:
        cancelled.set()
        pool.shutdown(wait=True, cancel_futures=True)
        raise


_clips_done: Synchronized[int] | None = None
_cancelled: Event | None = None


def _start_worker(clips_done: Synchronized[int], cancelled: Event) -> None:
    global _clips_done, _cancelled  # what a pool's initializer is for
    _clips_done, _cancelled = clips_done, cancelled
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the parent tells the workers to stop


def _write_in_worker(task: _Task) -> DatasetReport:
    def after_clip() -> None:
        if _cancelled is not None and _cancelled.is_set():
            raise Stopped("cancelled")
        if _clips_done is not None:
            with _clips_done.get_lock():
                _clips_done.value += 1

    return _write(task, after_clip)
