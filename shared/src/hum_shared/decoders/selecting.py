"""From candidates to selections: shifting, accepting, and what is reported of each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hum_shared.config.decoding import DecoderSettings
from hum_shared.decoders.candidates import Candidates, accepted, confidence, long_enough, moved, within
from hum_shared.decoders.curve import Curve, score_curve
from hum_shared.decoders.windows import Floats, Integers, Selections, Windows, log_odds, nearest_row

_DECIMALS = 3  # of the seconds that are reported


def finished(candidates: Candidates, settings: DecoderSettings, first_s: float, last_s: float) -> Candidates:
    """Return what becomes of candidates: shifted within the scored time, dropped where too short or not sure enough.

    Acceptance comes last, so that a selection does not change its edges with the threshold.
    """
    found = within(moved(candidates, settings.onset_shift_s, settings.offset_shift_s), first_s, last_s)
    return accepted(long_enough(found, settings.min_duration_s), settings)


def selections_of(
    windows: Windows, settings: DecoderSettings, find: Callable[[Curve, DecoderSettings], Candidates]
) -> Selections:
    """Decode the windows of a recording, class by class.

    Selections of two classes never overlap: the one that starts later starts where the other ends, and is
    dropped when nothing is left of it.
    """
    parts: list[tuple[int, Candidates]] = []
    if len(windows.start_s):
        for index in range(windows.probs.shape[1]):
            if index != windows.noise:
                curve = score_curve(windows, index, settings.temperature, settings.smoothing_s)
                scored_s = float(windows.start_s[0]), float(windows.end_s[-1])
                parts.append((index, finished(find(curve, settings), settings, *scored_s)))
    start_s = np.concatenate([np.empty(0), *(part.start_s for _, part in parts)])
    end_s = np.concatenate([np.empty(0), *(part.end_s for _, part in parts)])
    label = np.concatenate([np.empty(0, dtype=np.int64), *(np.full(len(part), index) for index, part in parts)])
    sure = np.concatenate([np.empty(0), *(confidence(part, settings) for _, part in parts)])
    order = np.lexsort((end_s, start_s))
    start_s, end_s, label, sure = start_s[order], end_s[order], label[order], sure[order]
    if len(parts) > 1 and len(start_s):
        start_s = np.maximum(start_s, np.append(-np.inf, np.maximum.accumulate(end_s)[:-1]))
    kept = np.round(end_s, _DECIMALS) > np.round(start_s, _DECIMALS)
    start_s, end_s, label, sure = start_s[kept], end_s[kept], label[kept].astype(np.int64), sure[kept]
    highest = _highest(windows, start_s, end_s, label)
    logits = windows.mean_logits(start_s, end_s)
    # Reported times are rounded: a very short selection may lie in the sliver between two rows.
    logits = np.where(np.isnan(logits), log_odds(highest), logits)
    return Selections(start_s, end_s, label, logits, highest, sure)


def _highest(windows: Windows, start_s: Floats, end_s: Floats, label: Integers) -> Floats:
    """Return the highest probability of its class that lies in each selection; without one, the nearest."""
    if len(start_s) == 0:
        return np.empty(0)
    instant_s = windows.instant_s
    first = np.searchsorted(instant_s, start_s, side="left")
    stop = np.searchsorted(instant_s, end_s, side="right")
    alone = stop <= first
    nearest = nearest_row(instant_s, (start_s + end_s) / 2)
    first, stop = np.where(alone, nearest, first), np.where(alone, nearest + 1, stop)
    highest = np.empty(len(start_s))
    for index in np.unique(label):
        mine = label == index
        p = np.append(windows.probs[:, index], 0.0)
        highest[mine] = np.maximum.reduceat(p, np.column_stack((first[mine], stop[mine])).ravel())[::2]
    return highest
