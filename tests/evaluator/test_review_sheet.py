import json

import numpy as np
import pytest
import soundfile

from hum_evaluator.export.rows import Row, read_run
from hum_evaluator.review_sheet import clips_around, most_uncertain, review_sheet, uncertainty
from hum_shared.errors import InputError, PartialFailure, Stopped
from hum_shared.index import PredictionEntry
from hum_shared.names import parse_recording, recording_stem
from hum_shared.selections import Selection, read_selections, write_selections
from hum_shared.stopping import StopRequest
from support.evaluated_run import HOSTILE, PLAIN, write_recording, write_run

CALLS = {HOSTILE: [(2.0, 2.5), (3.2, 3.6), (8.0, 8.5)], PLAIN: [(4.0, 4.4)]}
SECONDS = 10.0


@pytest.fixture
def run(tmp_path):
    folder = write_run(tmp_path, CALLS, SECONDS)
    for recording, calls in CALLS.items():
        write_recording(tmp_path / "data/audio" / recording, calls, SECONDS)
    return folder


def entry(**values):
    return PredictionEntry(uid=1, pred_path="t", tape="a.wav", start_s=0, end_s=1, dur_s=1, **values)


def with_logits(run, logits):
    path = run / "evaluation/index.json"
    index = json.loads(path.read_text(encoding="utf-8"))
    for one, logit in zip(index["entries"], logits, strict=True):
        one["cnn_logit_mean"] = logit
        one.pop("confidence", None)
    path.write_text(json.dumps(index), encoding="utf-8")


def test_a_coin_toss_is_most_uncertain_and_the_forest_has_the_last_word():
    assert uncertainty(entry(cnn_logit_mean=0.0)) == 1.0
    assert uncertainty(entry()) == 1.0
    assert uncertainty(entry(cnn_logit_mean=0.0, rf_prob=1.0)) == 0.0
    assert uncertainty(entry(rf_prob=0.6)) == pytest.approx(uncertainty(entry(rf_prob=0.4)))
    assert uncertainty(entry(cnn_logit_mean=1.0)) > uncertainty(entry(cnn_logit_mean=-3.0)) > 0


def test_the_least_certain_come_first(run):
    with_logits(run, [5.0, -0.1, 2.0, 0.2])
    chosen = most_uncertain(read_run(run, "evaluation").rows, 3)
    assert [row.entry.cnn_logit_mean for row in chosen] == [-0.1, 0.2, 2.0]


def test_the_sheet_holds_n_rows_that_point_into_their_clips(run, tmp_path):
    with_logits(run, [5.0, 1.0, 2.0, 0.2])
    sheet = review_sheet(run, tmp_path / "out", 2)
    rows = read_selections(tmp_path / "out/review_sheet.txt")
    assert (sheet.n_selections, sheet.n_clips, len(rows)) == (2, 2, 2)
    starts_s, before_s = {}, 0.0
    for clip in sorted(path.name for path in (tmp_path / "out/corpus/labelled_recordings").iterdir()):
        starts_s[clip] = before_s
        before_s += soundfile.info(tmp_path / "out/corpus/labelled_recordings" / clip).duration
    for row in rows:
        clip = row.extra["Begin File"]
        assert row.begin_s == pytest.approx(starts_s[clip] + float(row.extra["File Offset (s)"]), abs=1e-3)
        # The tone lies where the row says.
        sound, rate = soundfile.read(tmp_path / "out/corpus/labelled_recordings" / clip)
        first = float(row.extra["File Offset (s)"])
        inside = sound[round(first * rate) : round((first + row.end_s - row.begin_s) * rate)]
        assert np.abs(inside).max() > 0.09


def test_neighbours_share_a_clip_and_every_selection_in_it_is_listed(run, tmp_path):
    with_logits(run, [9.0, 0.0, 0.1, 9.0])
    sheet = review_sheet(run, tmp_path / "out", 1)
    (table,) = (tmp_path / "out/corpus/tables").iterdir()
    assert sheet.n_clips == 1
    assert len(read_selections(table)) == 2


def test_corrected_tables_are_read_back_as_labels_where_they_lie_on_the_tape(run, tmp_path):
    indexing = pytest.importorskip(
        "hum_trainer.indexing", reason="the package alone has no trainer to read labels with"
    )
    with_logits(run, [0.0, 5.0, 0.1, 0.2])
    review_sheet(run, tmp_path / "out", 3)
    tables = sorted((tmp_path / "out/corpus/tables").iterdir())
    plain = next(table for table in tables if table.name.startswith("388"))
    # A person moves an edge and gives a quality; empties another table.
    (row,) = read_selections(plain)
    write_selections(plain, [Selection(row.begin_s, row.end_s + 0.1, 100, 4000, "target", "Q3")])
    emptied = next(table for table in tables if table != plain and len(read_selections(table)) == 1)
    write_selections(emptied, [])
    index = indexing.index_corpus(tmp_path / "out/corpus", from_selections=True).index
    assert index.meta.n_labelled_clips == 3
    corrected = next(call for call in index.entries if call.tape == PLAIN)
    before = next(one.entry for one in read_run(run, "evaluation").rows if one.recording == PLAIN)
    assert corrected.quality == 3
    assert corrected.raw_start_s == pytest.approx(before.start_s, abs=2e-3)
    assert corrected.raw_end_s == pytest.approx(before.end_s + 0.1, abs=2e-3)
    assert {call.tape for call in index.entries} == {PLAIN, parse_recording(HOSTILE).tape}


def test_a_sheet_that_may_hold_corrections_is_never_overwritten(run, tmp_path):
    review_sheet(run, tmp_path / "out", 1)
    with pytest.raises(InputError, match="maybe with corrections"):
        review_sheet(run, tmp_path / "out", 1)


def test_a_missing_recording_is_named_and_the_rest_written(run, tmp_path):
    (tmp_path / "data/audio" / PLAIN).unlink()
    with pytest.raises(PartialFailure, match=recording_stem(PLAIN)):
        review_sheet(run, tmp_path / "out", 10)
    assert {row.extra["Recording"] for row in read_selections(tmp_path / "out/review_sheet.txt")} == {HOSTILE}


def test_a_run_without_selections_has_nothing_to_review(tmp_path):
    run = write_run(tmp_path, {PLAIN: []}, 3.0)
    with pytest.raises(InputError, match="nothing to review"):
        review_sheet(run, tmp_path / "out", 5, audio_dir=tmp_path)


def test_a_neighbour_that_ends_where_a_clip_begins_is_no_row_without_length():
    def row(start_s, end_s, number):
        one = PredictionEntry(uid=number, pred_path="t", tape="a.wav", start_s=start_s, end_s=end_s, dur_s=0.4)
        return Row(one, "a.wav", number, 0.0, 1.0)

    rows = [row(2.7, 3.1, 1), row(4.1, 4.5, 2)]
    (clip,) = clips_around(rows[1:], rows, {"a.wav": 10.0})
    assert (clip.start_s, clip.rows) == (3.1, (rows[1],))


class _StopAfter(StopRequest):
    def __init__(self, clips):
        super().__init__()
        self._left = clips

    def check(self, state):
        self._left -= 1
        if self._left < 0:
            raise Stopped(state)


def test_what_an_interrupted_sheet_left_is_no_part_of_the_next(run, tmp_path):
    with_logits(run, [5.0, 1.0, 2.0, 0.2])
    whole, out = tmp_path / "whole", tmp_path / "out"
    mine = out / "corpus/labelled_recordings/mine.wav"
    mine.parent.mkdir(parents=True)
    mine.touch()
    review_sheet(run, whole, 1)
    with pytest.raises(Stopped):
        review_sheet(run, out, 4, stop=_StopAfter(2))
    review_sheet(run, out, 1)
    expected = {path.relative_to(whole) for path in whole.rglob("*")}
    assert {path.relative_to(out) for path in out.rglob("*")} == {*expected, mine.relative_to(out)}
