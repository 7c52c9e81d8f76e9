"""What is written of a recording's selections: the rows of its table, and its entries of the index. Pure."""

from __future__ import annotations

import numpy as np

from hum_evaluator.tracks import Prediction
from hum_shared.decoders import Selections, noise_between
from hum_shared.index import PredictionEntry
from hum_shared.selections import Selection


def table_rows(prediction: Prediction, found: Selections, with_noise: bool) -> list[Selection]:
    """Return the rows of a recording's table in time order, with what lies between them as noise if wanted."""
    between = noise_between(prediction.windows, found) if with_noise else None
    rows = [
        Selection(
            begin_s=start_s,
            end_s=end_s,
            low_hz=prediction.low_hz,
            high_hz=prediction.high_hz,
            # Whatever the model calls its noise class: readers of tables know noise rows by this name.
            sound_type="noise" if part is between else prediction.classes[class_index],
            cnn_logit_mean=logit,
        )
        for part in (found, between)
        if part is not None
        for start_s, end_s, class_index, logit in zip(
            part.start_s.tolist(),
            part.end_s.tolist(),
            part.class_index.tolist(),
            part.logit_mean.tolist(),
            strict=True,
        )
    ]
    return sorted(rows, key=lambda row: (row.begin_s, row.end_s))


def index_entries(prediction: Prediction, found: Selections, pred_path: str, first_uid: int) -> list[PredictionEntry]:
    """Return a recording's selections as index entries, numbered from `first_uid`; noise rows are none."""
    recording = prediction.recording
    return [
        PredictionEntry(
            uid=uid,
            pred_path=pred_path,
            tape=recording.tape,
            recording=recording.name,
            # As whoever reads the table rounds what stands there.
            start_s=round(round(start_s, 6), 3),
            end_s=round(round(end_s, 6), 3),
            dur_s=round(end_s - start_s, 3),
            tape_start_s=round(recording.offset_s + start_s, 3),
            tape_end_s=round(recording.offset_s + end_s, 3),
            label=prediction.classes[class_index],
            cnn_logit_mean=logit,
            score_max=None if np.isnan(score) else score,
            confidence=None if np.isnan(sure) else round(sure, 6),
        )
        for uid, (start_s, end_s, class_index, logit, score, sure) in enumerate(
            zip(
                found.start_s.tolist(),
                found.end_s.tolist(),
                found.class_index.tolist(),
                found.logit_mean.tolist(),
                found.score_max.tolist(),
                found.confidence.tolist(),
                strict=True,
            ),
            start=first_uid,
        )
    ]
