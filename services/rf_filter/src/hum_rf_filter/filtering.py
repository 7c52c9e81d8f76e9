"""From probabilities to what is kept: filtered tables and index entries."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hum_shared import names
from hum_shared.index import PredictionEntry
from hum_shared.selections import Selection

_EARLIER_NOTE = re.compile(r"(?:(?:;\s*|^)rf_prob=(?:\d\.\d+)?)+$")


@dataclass(frozen=True)
class Kept:
    """A selection that passed the filter; `rf_prob` is None where it could not be told."""

    selection: Selection
    rf_prob: float | None


def keep(selections: Sequence[Selection], probs: NDArray[np.float64], threshold: float) -> list[Kept]:
    """Return the selections with at least the threshold's probability, in their order.

    Parameters
    ----------
    probs
        Shape (n,). NaN where a selection has no sound to judge by; it is kept, since nothing speaks against it.
    """
    return [
        Kept(selection, None if np.isnan(prob) else float(prob))
        for selection, prob in zip(selections, probs, strict=True)
        if np.isnan(prob) or prob >= threshold
    ]


def filtered_row(kept: Kept) -> Selection:
    """Return a row of the filtered table: `rf_prob=…` stands in the comments, after a person's own text.

    It takes the place of what an earlier filter wrote there.
    """
    note = "rf_prob=" if kept.rf_prob is None else f"rf_prob={kept.rf_prob:.6f}"
    own = _EARLIER_NOTE.sub("", kept.selection.comments.strip())
    return replace(kept.selection, comments=f"{own}; {note}" if own else note)


def index_entry(kept: Kept, uid: int, recording: str, pred_path: str) -> PredictionEntry:
    """Return a kept selection as an entry of `postrf/index.json`; seconds are rounded to 3 decimals."""
    selection, origin = kept.selection, names.parse_recording(recording)
    return PredictionEntry(
        uid=uid,
        pred_path=pred_path,
        tape=origin.tape,
        recording=recording,
        start_s=round(selection.begin_s, 3),
        end_s=round(selection.end_s, 3),
        dur_s=round(selection.end_s - selection.begin_s, 3),
        tape_start_s=round(origin.offset_s + selection.begin_s, 3),
        tape_end_s=round(origin.offset_s + selection.end_s, 3),
        label=selection.sound_type or None,
        cnn_logit_mean=selection.cnn_logit_mean,
        rf_prob=None if kept.rf_prob is None else round(kept.rf_prob, 6),
    )
