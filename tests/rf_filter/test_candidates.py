"""Candidates of many runs: which there are, which match a true call, and which calls nobody found."""

from pathlib import Path

import numpy as np
import pytest

from hum_rf_filter.candidates import Candidates, find_candidates, find_tables
from hum_shared.errors import InputError
from hum_shared.index import CorpusEntry, CorpusIndex, CorpusMeta, RecordingInfo
from hum_shared.recordings import RecordingFolder
from hum_shared.scores import read_score_track, score_writer
from hum_shared.selections import Selection
from support.rf_run import write_recording, write_table
from support.score_tracks import write_track

TAPE = "387_20201207_cut.wav"
CLIP = f"{TAPE}_100_110.wav"


def hum(clip: str, start_s: float, end_s: float, offset_s: float = 0, tape: str | None = None) -> CorpusEntry:
    return CorpusEntry(
        uid=1,
        clip_path=f"labelled_recordings/{clip}",
        raw_path=f"raw_recordings/{tape}" if tape else None,
        dur_s=end_s - start_s,
        clip_start_s=start_s,
        clip_end_s=end_s,
        raw_start_s=offset_s + start_s,
        raw_end_s=offset_s + end_s,
    )


def info(name: str, tape: str, offset_s: float, dur_s: float = 10) -> RecordingInfo:
    return RecordingInfo(name=name, tape=tape, offset_s=offset_s, dur_s=dur_s)


def found(folder: Path, truth: CorpusIndex, scores: Path | None = None) -> Candidates:
    return find_candidates(find_tables(folder / "runs", scores), RecordingFolder(folder / "audio"), truth)


def candidates_of(folder: Path, rows: list[Selection], *calls: tuple[float, float], name: str = CLIP):
    """Return the candidates of one run of one recording with true calls at `calls`, in its own time."""
    write_recording(folder / "audio" / name)
    write_table(folder / "runs" / "m" / "v", name, rows)
    offset_s, tape = (100, TAPE) if name == CLIP else (0, None)
    truth = CorpusIndex(entries=[hum(name, a, b, offset_s, tape) for a, b in calls])
    ((_, rows_found),) = found(folder, truth).by_recording.items()
    return rows_found


def test_a_candidate_matches_a_call_of_its_tape_on_tape_time(tmp_path: Path) -> None:
    rows = [Selection(2, 3), Selection(4.3, 5.3), Selection(6.6, 7.6), Selection(8, 9)]
    # IoU 1, 0.54, 0.25, none
    listed = candidates_of(tmp_path, rows, (2, 3), (4, 5), (6, 7))
    assert [one.matched for one in listed] == [1, 1, 0, 0]
    assert [one.call for one in listed] == [0, 1, -1, -1]


def test_a_call_is_matched_once_and_by_the_better_candidate(tmp_path: Path) -> None:
    listed = candidates_of(tmp_path, [Selection(2, 2.45), Selection(2.5, 3)], (2, 3))  # IoU 0.45 and 0.5
    assert [one.matched for one in listed] == [0, 1]


def test_the_least_match_is_two_fifths(tmp_path: Path) -> None:
    listed = candidates_of(tmp_path, [Selection(0, 1.99), Selection(5, 7)], (0, 5), (5, 10), name="a.wav")
    assert [one.matched for one in listed] == [0, 1]


def test_the_same_selection_of_many_runs_counts_once_with_its_runs(tmp_path: Path) -> None:
    write_recording(tmp_path / "audio" / CLIP)
    same, other_logit = Selection(2, 3, 0, 4000, cnn_logit_mean=1), Selection(2, 3, 0, 4000, cnn_logit_mean=2)
    # In m2 both stand for one call: only one of them can be it.
    for model, rows in (("m1", [same]), ("m2", [same, other_logit]), ("m3", [Selection(4, 5)])):
        write_table(tmp_path / "runs" / model / "v", CLIP, rows)
    ((path, rows),) = found(tmp_path, CorpusIndex(entries=[hum(CLIP, 2, 3, 100, TAPE)])).by_recording.items()
    assert path.name == CLIP
    assert [(one.selection.begin_s, one.selection.cnn_logit_mean, one.in_runs) for one in rows] == [
        (2, 1, 2),
        (2, 2, 1),
        (4, None, 1),
    ]
    assert sum(one.matched for one in rows) == 2


def test_a_candidate_keeps_its_call_where_a_later_run_has_a_better_one(tmp_path: Path) -> None:
    write_recording(tmp_path / "audio" / CLIP)
    for model, rows in (("m1", [Selection(2, 2.9)]), ("m2", [Selection(2, 2.9), Selection(2, 3)])):
        write_table(tmp_path / "runs" / model / "v", CLIP, rows)
    ((_, rows),) = found(tmp_path, CorpusIndex(entries=[hum(CLIP, 2, 3, 100, TAPE)])).by_recording.items()
    assert [(one.selection.end_s, one.in_runs, one.matched, one.call) for one in rows] == [(2.9, 2, 1, 0), (3, 1, 1, 0)]


def test_calls_are_not_counted_where_nothing_was_scored(tmp_path: Path) -> None:
    write_recording(tmp_path / "audio" / CLIP)
    write_table(tmp_path / "runs" / "m" / "v", CLIP, [Selection(2, 3)])
    write_track(tmp_path / "scores", CLIP, np.full(100, 0.5), hop_s=0.1, window_s=0.1)
    (path,) = (tmp_path / "scores").iterdir()
    track = read_score_track(path)
    with score_writer(path, track.meta.model_copy(update={"scored_s": [(0.0, 4.0)]})) as writer:
        writer.append(track.start_s, track.end_s, track.probs)
    truth = CorpusIndex(entries=[hum(CLIP, 2, 3, 100, TAPE), hum(CLIP, 6, 7, 100, TAPE)])
    assert [found(tmp_path, truth, scores).n_true for scores in (None, tmp_path / "scores")] == [2, 1]


def test_calls_are_counted_where_a_run_looked_also_in_empty_tables(tmp_path: Path) -> None:
    other = f"{TAPE}_200_210.wav"
    write_recording(tmp_path / "audio" / CLIP)
    for run, names in (("v1", [CLIP, other]), ("v2", [CLIP])):
        for name in names:
            write_table(tmp_path / "runs" / "m" / run, name, [Selection(8, 9)] if name == CLIP else [])
    calls = [hum(CLIP, 2, 3, 100, TAPE), hum(CLIP, 4, 5, 100, TAPE), hum(other, 1, 2, 200, TAPE)]
    calls.append(hum(f"{TAPE}_500_510.wav", 1, 2, 500, TAPE))  # nobody looked there
    listed = found(tmp_path, CorpusIndex(entries=calls))
    assert listed.n_true == 3 + 2
    assert {name: path and path.name for name, path in listed.recordings.items()} == {CLIP: CLIP, other: None}


def test_candidates_where_nobody_listened_are_left_out_and_said(tmp_path: Path) -> None:
    for name in (TAPE, "unknown.wav"):
        write_recording(tmp_path / "audio" / name, seconds=0.5)
        write_table(tmp_path / "runs" / "m" / "v", name, [Selection(102, 103), Selection(150, 151)])
    listed = found(tmp_path, CorpusIndex(meta=CorpusMeta(recordings=[info(CLIP, TAPE, 100)]), entries=[]))
    assert [[one.selection.begin_s for one in rows] for rows in listed.by_recording.values()] == [[102]]
    assert "unknown.wav" in listed.warnings[0]
    assert "1 candidates outside" in listed.warnings[1]


def test_only_evaluations_count_as_runs(tmp_path: Path) -> None:
    write_table(tmp_path / "runs" / "m" / "v", "a.wav", [])
    (tmp_path / "runs" / "m" / "v" / "evaluation").rename(tmp_path / "runs" / "m" / "v" / "postrf")
    with pytest.raises(InputError, match="Run hum-evaluator first"):
        find_tables(tmp_path / "runs")


def test_each_run_has_the_scores_of_its_model_and_window(tmp_path: Path) -> None:
    scores = tmp_path / "scores"
    for folder in ("m $1/len400_hop050", "m $1/len400_hop005"):
        write_track(scores / folder, CLIP, np.full(5, 0.5))
    write_table(tmp_path / "runs" / "m $1" / "len400_hop050_th90_hysteresis-x", CLIP, [])
    write_table(tmp_path / "runs" / "other" / "v", CLIP, [])
    assert [table.scores_dir for table in find_tables(tmp_path / "runs", scores)] == [
        scores / "m $1/len400_hop050",
        scores,
    ]
    assert {table.scores_dir for table in find_tables(tmp_path / "runs")} == {None}


@pytest.mark.parametrize(("here", "runs"), [("runs/m", "."), ("runs", "."), ("runs", "m"), ("", "runs")])
def test_runs_are_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: str, runs: str) -> None:
    write_table(tmp_path / "runs" / "m" / "v", CLIP, [])
    monkeypatch.chdir(tmp_path / here)
    (table,) = find_tables(Path(runs))
    assert table.run.resolve() == tmp_path / "runs" / "m" / "v"


def test_a_candidate_without_its_score_track_is_an_error_that_says_how_to_do_without(tmp_path: Path) -> None:
    (tmp_path / "scores").mkdir()
    write_recording(tmp_path / "audio" / CLIP)
    write_table(tmp_path / "runs" / "m" / "v", CLIP, [Selection(2, 3)])
    with pytest.raises(InputError, match=r"no such score track.*without --scores"):
        found(tmp_path, CorpusIndex(entries=[hum(CLIP, 2, 3, 100, TAPE)]), tmp_path / "scores")


@pytest.mark.parametrize(("runs", "scores"), [("nowhere", None), ("runs", "nowhere")])
def test_folders_that_are_not_there_are_named(tmp_path: Path, runs: str, scores: str | None) -> None:
    (tmp_path / "runs").mkdir()
    with pytest.raises(InputError, match="nowhere: no such folder"):
        find_tables(tmp_path / runs, scores and tmp_path / scores)


def test_hidden_folders_hold_no_runs(tmp_path: Path) -> None:
    for run in ("m/v", ".trash/v", "m/.old"):
        write_table(tmp_path / "runs" / run, CLIP, [Selection(2, 3)])
    assert {table.run for table in find_tables(tmp_path / "runs")} == {tmp_path / "runs/m/v"}
