"""Decoder `union`: windows at or above the threshold that touch or overlap become one selection.

It gives the original programs' selections (spec/selections.md, "Decoder union").
"""

from __future__ import annotations

import numpy as np

from hum_shared.decoders.windows import Selections, Windows, logistic

# "Rounded to 3 decimals ≤ 0" means below half a millisecond: the float 0.0005 itself lies above it.
_TOUCHING_S = 0.0005


def union(windows: Windows, threshold: float) -> Selections:
    """Merge detections into selections.

    Parameters
    ----------
    windows
        Windows of one recording.
    threshold
        A window counts when its p is at least this and its class is not noise.

    Returns
    -------
    Selections
        A window joins the last selection when it touches or overlaps it and has its class. One that
        overlaps a selection of another class starts where that one ends; if nothing is left of it then, it
        is dropped. Without any counting window, no selections.
    """
    counting = windows.counting(threshold)
    if len(counting) == 0:
        nothing = np.empty(0)
        return Selections(nothing, nothing, np.empty(0, dtype=np.int64), nothing, nothing, nothing)
    start_s, end_s, label = windows.start_s[counting], windows.end_s[counting], windows.class_index[counting]
    # The last selection always ends with the counting window before, and has its class: no state is needed.
    before_s = np.concatenate(([-np.inf], end_s[:-1]))
    same_class = np.concatenate(([True], label[1:] == label[:-1]))
    joins = same_class & (start_s - before_s < _TOUCHING_S)
    first = np.flatnonzero(~joins)
    begin_s = np.where(same_class, start_s, np.maximum(start_s, before_s))[first]
    finish_s = end_s[np.append(first[1:], len(counting)) - 1]
    score_max = np.maximum.reduceat(windows.p[counting], first)
    kept = finish_s > begin_s
    begin_s, finish_s = begin_s[kept], finish_s[kept]
    logits = windows.mean_logits(begin_s, finish_s)
    return Selections(begin_s, finish_s, label[first][kept], logits, score_max[kept], logistic(logits))
