"""Decoder `hysteresis`: where the score passes one level lie the edges, how far it rises decides what counts.

Edges lie where the score curve crosses `edge_level`, interpolated between windows; a stretch counts when its
confidence reaches `threshold`. So the edges do not depend on the threshold, and what a stricter one finds is a
part of what a laxer one finds. A threshold whose score lies below `edge_level` adds stretches that never
reach that level; their edges lie at `edge_level` times the score that counts.
"""

from __future__ import annotations

import numpy as np

from hum_shared.config.decoding import DecoderSettings
from hum_shared.decoders.candidates import Candidates, accepting_level, bridged
from hum_shared.decoders.curve import Curve, left_crossing, ranges_of, right_crossing


def hysteresis(curve: Curve, settings: DecoderSettings) -> Candidates:
    """Return the candidates of a curve, before acceptance."""
    strong = bridged(stretches(curve, settings.edge_level), settings.min_gap_s)
    level = accepting_level(settings)
    if level >= settings.edge_level:
        return strong
    return with_weak(strong, stretches(curve, max(level * settings.edge_level, 1e-6)), level)


def with_weak(strong: Candidates, weak: Candidates, level: float) -> Candidates:
    """Return strong stretches, and those weak ones that reach `level` and touch no strong one.

    A weak stretch that holds a strong one is known already, with better edges; and none is bridged, so that the
    strong ones stay what they are with a stricter threshold.
    """
    touches = np.searchsorted(strong.start_s, weak.end_s, side="right") > np.searchsorted(
        strong.end_s, weak.start_s, side="left"
    )
    weak = weak[~touches & (weak.peak >= level)]
    order = np.argsort(np.concatenate((strong.start_s, weak.start_s)), kind="stable")
    return Candidates(
        np.concatenate((strong.start_s, weak.start_s))[order],
        np.concatenate((strong.end_s, weak.end_s))[order],
        np.concatenate((strong.peak, weak.peak))[order],
        np.concatenate((strong.mean, weak.mean))[order],
        np.concatenate((strong.rows, weak.rows))[order],
    )


def stretches(curve: Curve, level: float) -> Candidates:
    """Return the stretches at or above `level`, in (0, 1], with interpolated edges."""
    first, last = ranges_of(curve.score >= level)
    bounds = np.column_stack((first, last + 1)).ravel()  # the curve ends with 0, so last + 1 exists
    rows = (last + 1 - first).astype(np.float64)
    if len(first) == 0:
        peak = mean = np.empty(0)
    else:
        peak = np.maximum.reduceat(curve.counting, bounds)[::2]
        mean = np.add.reduceat(curve.counting, bounds)[::2] / rows
    return Candidates(left_crossing(curve, first, level), right_crossing(curve, last, level), peak, mean, rows)
