"""What a person should know about a dataset: clips that overlap, and tapes that stand in more than one part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hum_shared.intervals import Intervals, as_intervals, overlapping_pairs
from hum_trainer.planning import NOISE, PlannedClip
from hum_trainer.splits import PARTS


@dataclass(frozen=True)
class OverlapCheck:
    """Counts that should be 0.

    Attributes
    ----------
    overlapping_noise
        Pairs of noise clips that share time.
    exact_duplicates
        Clips with tape and times of an earlier one.
    noise_touching_hum
        Noise clips that share time with any hum of their tape.
    """

    overlapping_noise: int
    exact_duplicates: int
    noise_touching_hum: int


def check_overlaps(clips: Sequence[PlannedClip], hums: Mapping[str, Intervals]) -> OverlapCheck:
    """Count overlaps and duplicates among clips.

    Parameters
    ----------
    hums
        Tape → where hums are, tape time, whatever their quality.
    """
    noise: dict[str, list[tuple[float, float]]] = {}
    for clip in clips:
        if clip.class_name == NOISE:
            noise.setdefault(clip.tape, []).append((clip.start_s, clip.end_s))
    overlapping = touching = 0
    for tape, pairs in noise.items():
        intervals = as_intervals(pairs)
        i, j, _ = overlapping_pairs(intervals, intervals)
        overlapping += int(np.count_nonzero(i < j))
        touched, _, _ = overlapping_pairs(intervals, hums.get(tape, as_intervals([])))
        touching += len(np.unique(touched))
    places = {(clip.tape, clip.start_s, clip.end_s) for clip in clips}
    return OverlapCheck(overlapping, len(clips) - len(places), touching)


def shared_tapes(clips: Sequence[PlannedClip]) -> dict[str, list[str]]:
    """Return the tapes that stand in more than one part, and in which; sorted by tape."""
    parts: dict[str, set[str]] = {}
    for clip in clips:
        parts.setdefault(clip.tape, set()).add(clip.part)
    return {tape: [part for part in PARTS if part in found] for tape, found in sorted(parts.items()) if len(found) > 1}


def part_counts(clips: Sequence[PlannedClip]) -> dict[str, dict[str, int]]:
    """Return part → class → number of clips; all parts, and all classes of the dataset, are there."""
    classes = sorted({clip.class_name for clip in clips}, reverse=True)
    counts = {part: dict.fromkeys(classes, 0) for part in PARTS}
    for clip in clips:
        counts[clip.part][clip.class_name] += 1
    return {str(part): found for part, found in counts.items()}


def tape_counts(clips: Sequence[PlannedClip]) -> dict[str, dict[str, int]]:
    """Return part → tape → number of clips."""
    counts: dict[str, dict[str, int]] = {part: {} for part in PARTS}
    for clip in sorted(clips, key=lambda clip: clip.tape):
        counts[clip.part][clip.tape] = counts[clip.part].get(clip.tape, 0) + 1
    return counts
