"""Decoding an hour of windows, against a plain loop written from the specification."""

from __future__ import annotations

import json
import math
import time
import tracemalloc
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from hum_shared.decoders import Windows, union

HOUR_S, WINDOW_S, HOP_S, THRESHOLD = 3600.0, 0.4, 0.05, 0.5
ROUNDS = 3

Found = list[tuple[float, float, float]]
_Result = TypeVar("_Result")


def run() -> dict[str, object]:
    """Measure both in this process, best of three, and check that they agree."""
    windows = hour_of_windows()
    rows = list(zip(windows.start_s.tolist(), windows.end_s.tolist(), windows.probs[:, 1].tolist(), strict=True))
    # A copy each round: what Windows caches would make the second round look faster than it is.
    ours_s, found = best_of(ROUNDS, lambda: union(Windows(windows.start_s, windows.end_s, windows.probs), THRESHOLD))
    plain_s, expected = best_of(ROUNDS, lambda: plain_union(rows, THRESHOLD))
    np.testing.assert_array_equal(found.start_s, [start_s for start_s, _, _ in expected])
    np.testing.assert_array_equal(found.end_s, [end_s for _, end_s, _ in expected])
    np.testing.assert_allclose(found.logit_mean, [logit for _, _, logit in expected], rtol=0, atol=1e-9)
    tracemalloc.start()
    union(Windows(windows.start_s, windows.end_s, windows.probs), THRESHOLD)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {
        "name": "union decoding",
        "unit": "windows/s",
        "ours": len(rows) / ours_s,
        "plain": len(rows) / plain_s,
        "ratio": plain_s / ours_s,
        "peak_mb": peak_bytes / 1e6,
    }


def hour_of_windows() -> Windows:
    """Return an hour of scores with some 200 calls above a noisy floor."""
    draw = np.random.default_rng(0)
    start_s = np.round(np.arange(round(HOUR_S / HOP_S)) * HOP_S, 3)
    logit = draw.normal(-5, 1, len(start_s))
    for at_s in np.sort(draw.uniform(0, HOUR_S - 2, 200)):
        logit[np.searchsorted(start_s, at_s) : np.searchsorted(start_s, at_s + draw.uniform(0.3, 1.5))] += 7
    p = 1 / (1 + np.exp(-logit))
    return Windows(start_s, np.round(start_s + WINDOW_S, 3), np.column_stack((1 - p, p)))


def plain_union(windows: Found, threshold: float) -> Found:
    """Decode as spec/selections.md reads: one window after the other, then all windows per selection."""
    spans: list[list[float]] = []
    for start_s, end_s, p in windows:
        if p < threshold:
            continue
        if spans and round(start_s - spans[-1][1], 3) <= 0:
            spans[-1][1] = end_s
        else:
            spans.append([start_s, end_s])
    found = []
    for begin_s, finish_s in spans:
        total = weight = 0.0
        for start_s, end_s, p in windows:
            overlap_s = min(end_s, finish_s) - max(start_s, begin_s)
            if overlap_s > 0:
                p = min(max(p, 1e-6), 1 - 1e-6)
                total += overlap_s * math.log(p / (1 - p))
                weight += overlap_s
        found.append((begin_s, finish_s, total / weight))
    return found


def best_of(rounds: int, call: Callable[[], _Result]) -> tuple[float, _Result]:
    """Return the shortest time of several rounds in seconds, and the result."""
    shortest_s = math.inf
    for _ in range(rounds):
        started = time.perf_counter()
        result = call()
        shortest_s = min(shortest_s, time.perf_counter() - started)
    return shortest_s, result


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
