import numpy as np
import pytest

from hum_evaluator.metrics import MORE_RUN_COLUMNS, MORE_TAPE_COLUMNS, outcome
from hum_evaluator.scorecard import (
    Tape,
    block_counts,
    interval_columns,
    more_columns,
    ranks,
)
from hum_shared.index import PredictionEntry
from hum_shared.intervals import as_intervals


def tape(calls, detections, confidence=None, heard=((0, 1800),)):
    calls, detections = as_intervals(calls), as_intervals(detections)
    scores = np.array([0.5] * len(detections) if confidence is None else confidence, dtype=np.float64)
    result = outcome(calls, [None] * len(calls), detections, 0.4, "optimal")
    return Tape(calls, detections, scores, result, None if heard is None else as_intervals(heard))


def test_all_columns_are_there_also_without_anything():
    row = more_columns([tape([], [])], 0.4, "optimal")
    assert tuple(row) == MORE_TAPE_COLUMNS
    assert tuple({**row, **interval_columns({("t", 0): (0, 0, 0)})}) == MORE_RUN_COLUMNS
    assert (row["f1_iou30"], row["average_precision"], row["bias_onset_ms"], row["hours"]) == (0, None, None, 0.5)


def test_figures_at_several_overlaps_and_by_collar():
    # IoU 0.35, 0.6 and 1; the first one's end is 1.3 s off, more than 20 %.
    row = more_columns([tape([(10, 12), (20, 22), (30, 32)], [(10, 10.7), (20, 21.2), (30, 32)])], 0.4, "optimal")
    assert [row[f"recall_iou{iou}"] for iou in (30, 50, 70)] == [1.0, pytest.approx(2 / 3), pytest.approx(1 / 3)]
    assert row["f1_collar"] == pytest.approx(1 / 3)


def test_bias_has_a_sign_and_medians_do_not():
    row = more_columns([tape([(10, 12), (20, 22)], [(10.1, 12.3), (20.3, 21.9)])], 0.4, "optimal")
    assert (row["bias_onset_ms"], row["bias_offset_ms"]) == (pytest.approx(200), pytest.approx(100))
    assert (row["median_dstart_ms"], row["median_dend_ms"]) == (pytest.approx(200), pytest.approx(200))
    late = more_columns([tape([(10, 12)], [(9.9, 12)])], 0.4, "optimal")
    assert late["bias_onset_ms"] == pytest.approx(-100)


def test_rates_per_hour_need_hours():
    known = more_columns([tape([(10, 12)], [(10, 12), (50, 51)])], 0.4, "optimal")
    assert (known["hours"], known["gt_per_hour"], known["pred_per_hour"]) == (0.5, 2, 4)
    assert known["fa_per_hour_r80"] == 2
    unknown = more_columns([tape([(10, 12)], [(10, 12)], heard=None)], 0.4, "optimal")
    assert [unknown[key] for key in ("hours", "gt_per_hour", "fa_per_hour_r80", "psds")] == [None] * 4
    assert unknown["average_precision"] == 1.0


def test_without_confidence_there_is_no_measure_over_thresholds():
    row = more_columns([tape([(10, 12)], [(10, 12)], confidence=[float("nan")])], 0.4, "optimal")
    assert (row["average_precision"], row["psds"]) == (None, None)


def entry(**values):
    return PredictionEntry(uid=1, pred_path="x", tape="t.wav", start_s=0, end_s=1, dur_s=1, **values)


def test_the_last_layer_that_judged_a_selection_ranks_it():
    layers = ["rf_prob", "confidence", "score_max", "cnn_logit_mean"]
    for number, last in enumerate(layers):
        earlier = layers[number + 1 :]
        lower = entry(**{last: 0.5}, **dict.fromkeys(earlier, 0.9))
        higher = entry(**{last: 0.6}, **dict.fromkeys(earlier, 0.1))
        assert ranks([higher, lower, lower]).tolist() == [1, 0, 0]
    assert np.isnan(ranks([entry()])).all()
    assert len(ranks([])) == 0


def test_among_selections_that_are_all_sure_the_score_ranks():
    scores = (0.999991, 0.999993, 0.999992)
    for more in ({}, {"rf_prob": 1.0}):
        assert ranks([entry(confidence=1.0, score_max=score, **more) for score in scores]).tolist() == [0, 2, 1]


def test_where_the_filter_lets_everything_pass_the_decoders_confidence_ranks():
    calls, detections = [(10, 12), (30, 32)], [(10, 12), (20, 22), (30, 32), (50, 52)]
    decoder = [0.9, 0.4, 0.8, 0.3]
    filtered = ranks([entry(rf_prob=1.0, confidence=value) for value in decoder])
    columns = ("average_precision", "fa_per_hour_r80", "psds")
    before, after = (more_columns([tape(calls, detections, scores)], 0.4, "optimal") for scores in (decoder, filtered))
    assert [after[name] for name in columns] == [before[name] for name in columns]
    assert before["average_precision"] == 1.0


def test_a_pair_counts_in_the_minute_in_which_the_call_starts():
    counts = block_counts({"t": tape([(59.9, 62)], [(60.1, 62)], heard=[(0, 200)])}, 0.4, "optimal")
    assert counts == {("t", 0): (1, 1, 1), ("t", 1): (0, 0, 0), ("t", 2): (0, 0, 0), ("t", 3): (0, 0, 0)}


def test_a_tape_without_anything_is_one_empty_block():
    assert block_counts({"t": tape([], [], heard=None)}, 0.4, "optimal") == {("t", 0): (0, 0, 0)}
