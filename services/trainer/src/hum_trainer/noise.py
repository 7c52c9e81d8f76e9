"""Where on a tape noise clips can be taken without touching any hum."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hum_shared.intervals import Intervals, as_intervals, gaps

Source = Literal["clip", "raw"]


@dataclass(frozen=True)
class NoiseRequest:
    """A wish for one noise clip as long as a hum.

    Attributes
    ----------
    hum
        Position of the hum in the caller's list.
    tape
        The hum's tape.
    dur_s
        Length of the noise clip.
    clip
        Start and end of the hum's labelled clip, tape time.
    raw
        Start and end of the raw recording; None when it may not be used.
    """

    hum: int
    tape: str
    dur_s: float
    clip: tuple[float, float]
    raw: tuple[float, float] | None


@dataclass(frozen=True)
class NoisePlace:
    """Where a noise clip was found: tape time, and in which recording."""

    hum: int
    start_s: float
    end_s: float
    source: Source


def wanted_per_hum(noise_per_hum: float, n_hums: int, rng: np.random.Generator) -> list[int]:
    """Return how many noise clips each hum gets; the fraction of `noise_per_hum` is a probability."""
    whole = int(noise_per_hum)
    extra = rng.random(n_hums) < noise_per_hum - whole
    return [whole + int(more) for more in extra]


def mine(
    requests: Sequence[NoiseRequest], hums: Mapping[str, Intervals], margin_s: float, rng: np.random.Generator
) -> tuple[list[NoisePlace], int]:
    """Find a random place for each request.

    A noise clip keeps `margin_s` away from every hum of its tape, and never overlaps a noise clip already taken. It
    also keeps `margin_s` away from those while that leaves room. The labelled clip is tried first, then the raw
    recording. Each hum's first request comes before any hum's second, and chance decides which hum comes first: where
    room is scarce, every hum has the same prospect.

    Parameters
    ----------
    hums
        Tape → where hums are, tape time, whatever their quality.
    margin_s
        Seconds, ≥ 0.

    Returns
    -------
    places
        Sorted by hum, then time. Starts are whole milliseconds, since names carry no more.
    skipped
        How many requests found no room.
    """
    taken: dict[str, list[tuple[float, float]]] = {}
    busy: dict[tuple[str, float, float], Intervals] = {}
    places: list[NoisePlace] = []
    for request in _in_rounds(requests, rng):
        noise = taken.setdefault(request.tape, [])
        domains: list[tuple[Source, tuple[float, float] | None]] = [("clip", request.clip), ("raw", request.raw)]
        for source, domain in domains:
            if domain is None:
                continue
            key = (request.tape, *domain)
            if key not in busy:
                busy[key] = _within(widened(hums.get(request.tape, as_intervals([])), margin_s), *domain)
            near = _within(as_intervals(noise), domain[0] - margin_s, domain[1] + margin_s)
            start_s = _find(busy[key], near, domain, request.dur_s, margin_s, rng)
            if start_s is not None:
                end_s = round(start_s + request.dur_s, 6)
                noise.append((start_s, end_s))
                places.append(NoisePlace(request.hum, start_s, end_s, source))
                break
    places.sort(key=lambda place: (place.hum, place.start_s))
    return places, len(requests) - len(places)


def widened(intervals: Intervals, margin_s: float) -> Intervals:
    """Return the intervals with `margin_s` added at both ends."""
    return np.add(intervals, [-margin_s, margin_s])


def place(free: Intervals, dur_s: float, rng: np.random.Generator) -> float | None:
    """Return a start, in whole milliseconds, at which `dur_s` seconds fit into a free interval.

    All such starts are equally likely.

    Returns
    -------
    float or None
        Seconds; None when nothing fits.
    """
    # Rounded to microseconds first: 0.1 + 0.2 must not be a millisecond later than 0.3.
    first = np.ceil(np.round(free[:, 0] * 1000, 3))
    last = np.floor(np.round((free[:, 1] - dur_s) * 1000, 3))
    starts = np.maximum(last - first + 1, 0).astype(np.int64)
    reach = np.cumsum(starts)
    if len(reach) == 0 or reach[-1] == 0:
        return None
    pick = int(rng.integers(reach[-1]))
    interval = int(np.searchsorted(reach, pick, side="right"))
    return (int(first[interval]) + pick - int(reach[interval] - starts[interval])) / 1000


def _find(
    hums: Intervals,
    noise: Intervals,
    domain: tuple[float, float],
    dur_s: float,
    margin_s: float,
    rng: np.random.Generator,
) -> float | None:
    for spacing_s in dict.fromkeys((margin_s, 0.0)):
        busy = np.concatenate((hums, widened(noise, spacing_s)))
        start_s = place(gaps(busy, *domain), dur_s, rng)
        if start_s is not None or len(noise) == 0:
            return start_s
    return None


def _in_rounds(requests: Sequence[NoiseRequest], rng: np.random.Generator) -> list[NoiseRequest]:
    seen: Counter[int] = Counter()
    rounds = []
    for request, chance in zip(requests, rng.random(len(requests)), strict=True):
        rounds.append((seen[request.hum], chance, request))
        seen[request.hum] += 1
    return [request for _, _, request in sorted(rounds, key=lambda item: item[:2])]


def _within(intervals: Intervals, start_s: float, end_s: float) -> Intervals:
    return intervals[(intervals[:, 1] > start_s) & (intervals[:, 0] < end_s)]
