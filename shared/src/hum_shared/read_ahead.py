"""Making the next items on a thread while others are worked on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from typing import TypeVar

Item = TypeVar("Item")


def read_ahead(items: Iterable[Item], depth: int = 2) -> Generator[Item, None, None]:
    """Yield `items` while a thread already makes the next `depth` of them, blocks of audio for example.

    An error in the thread is raised here. When the consumer stops early, the thread ends after its item.
    """
    ready: queue.Queue[Item | BaseException | None] = queue.Queue(depth)
    stop = threading.Event()

    def put(item: Item | BaseException | None) -> None:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return

    def read() -> None:
        try:
            for item in items:
                put(item)
                if stop.is_set():
                    return
            put(None)
        except BaseException as error:
            put(error)

    reader = threading.Thread(target=read, name="reader", daemon=True)
    reader.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        reader.join()
