import json
import math
import os
import shutil

import pytest

from hum_evaluator.run import evaluate
from hum_shared import edited
from hum_shared.config.cfg import write_cfg
from hum_shared.config.evaluation import EvaluationCfg
from hum_shared.errors import CfgError, InputError, MachineError, PartialFailure, Stopped
from hum_shared.index import PredictionIndex, read_index
from hum_shared.layout import table_file
from hum_shared.locks import LOCK_FILE, alone
from hum_shared.selections import read_selections
from hum_shared.stopping import StopRequest
from support.score_tracks import log_header, two_class_windows, write_log, write_track

CLIP = "387_20201207_cut.wav_900_1800.wav"
HOSTILE = "Ä weide.v2 'x' $HOME \"q\" (1).wav"
CALL = [0.1, 0.9, 0.95, 0.9, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]


def a_cfg(root, **values):
    """Write an eval.cfg in a workspace at `root`."""
    (root / "workspace.toml").touch()
    settings = {
        "prediction_dir": "BENCHMARK/runs/m odel/v$1/prediction",
        "output_dir": "BENCHMARK/runs/m odel/v$1/evaluation/annotations",
        "threshold": 0.5,
        **values,
    }
    path = root / "BENCHMARK/cfg/m odel/v$1/eval.cfg"
    write_cfg(path, EvaluationCfg.model_validate(settings))
    return path


def run_folder(root):
    return root / "BENCHMARK/runs/m odel/v$1"


def without_what_may_differ(index_file):
    index = json.loads(index_file.read_text(encoding="utf-8"))
    del index["meta"]["provenance"], index["meta"]["generated_at"]
    return index


def test_a_name_that_is_too_long_for_a_table_is_that_recordings_failure(tmp_path):
    run = run_folder(tmp_path)
    name = "ü" * 110 + ".wav"  # 220 bytes: the score track still has room for its suffix
    for recording in (name, CLIP):
        write_track(run / "prediction", recording, CALL)
    with pytest.raises(PartialFailure):
        evaluate(a_cfg(tmp_path))
    assert table_file(run / "evaluation/annotations", CLIP).is_file()
    failures = json.loads((run / "evaluation/failures.json").read_text(encoding="utf-8"))
    assert list(failures) == [name]
    assert "Give the recording a shorter one" in str(failures[name])


def test_an_index_names_the_models_of_its_scores(tmp_path):
    run = run_folder(tmp_path)
    write_track(run / "prediction", CLIP, CALL)
    evaluate(a_cfg(tmp_path))
    (model,) = read_index(run / "evaluation/index.json", PredictionIndex).meta.models
    assert len(model) == 64


def test_a_selection_becomes_a_row_and_an_entry(tmp_path):
    run = run_folder(tmp_path)
    write_track(run / "prediction", CLIP, CALL)
    done = evaluate(a_cfg(tmp_path))
    assert (done.n_recordings, done.n_selections, done.up_to_date) == (1, 1, False)
    table = table_file(run / "evaluation/annotations", CLIP)
    header, row = table.read_text(encoding="utf-8").splitlines()
    assert header.split("\t") == [
        "Selection",
        "View",
        "Channel",
        "Begin time (s)",
        "End time (s)",
        "Low Freq (Hz)",
        "High Freq (Hz)",
        "Sound type",
        "Comments",
        "CNN logit (mean)",
    ]
    assert row.split("\t")[:-1] == ["1", "Spectrogram_1", "1", "0.05", "0.55", "100", "4000", "target", ""]
    entry = json.loads((run / "evaluation/index.json").read_text(encoding="utf-8"))["entries"][0]
    assert {key: entry[key] for key in entry if key not in ("cnn_logit_mean", "score_max", "confidence")} == {
        "uid": 1,
        "pred_path": f"evaluation/annotations/{table.name}",
        "tape": "387_20201207_cut.wav",
        "recording": CLIP,
        "start_s": 0.05,
        "end_s": 0.55,
        "dur_s": 0.5,
        "tape_start_s": 900.05,
        "tape_end_s": 900.55,
        "label": "target",
        "rf_prob": None,
    }
    assert entry["score_max"] == pytest.approx(0.95, abs=1e-6)
    assert entry["confidence"] == pytest.approx(1 / (1 + math.exp(-entry["cnn_logit_mean"])), abs=1e-6)
    assert float(row.split("\t")[-1]) == pytest.approx(entry["cnn_logit_mean"], abs=1e-6)


def test_the_index_lists_every_recording_also_empty_ones(tmp_path):
    run = run_folder(tmp_path)
    write_track(run / "prediction", CLIP, CALL)
    write_track(run / "prediction", HOSTILE, [0.1] * 5)
    evaluate(a_cfg(tmp_path))
    meta = read_index(run / "evaluation/index.json", PredictionIndex).meta
    assert [(one.name, one.tape, one.offset_s, one.dur_s) for one in meta.recordings] == [
        (CLIP, "387_20201207_cut.wav", 900.0, 1.0),
        (HOSTILE, HOSTILE, 0.0, 0.6),
    ]
    assert meta.n_preds == 1
    assert read_selections(table_file(run / "evaluation/annotations", HOSTILE)) == []


def test_old_logs_are_evaluated_like_score_tracks(tmp_path):
    run = run_folder(tmp_path)
    windows = [(0.0, 0.4, 0.1), (0.05, 0.45, 0.9), (0.1, 0.5, 0.95), (0.15, 0.55, 0.4)]
    write_log(run / "prediction", HOSTILE, log_header(f"/x/{HOSTILE}", 26_400) + two_class_windows(windows))
    evaluate(a_cfg(tmp_path))
    index = read_index(run / "evaluation/index.json", PredictionIndex)
    assert [(one.start_s, one.end_s, one.score_max) for one in index.entries] == [(0.05, 0.5, 0.95)]
    assert index.meta.recordings[0].dur_s == 0.55


def test_the_same_input_gives_the_same_bytes_wherever_it_was_scored(tmp_path):
    results = []
    for host in ("one", "two"):
        root = tmp_path / host
        root.mkdir()
        write_track(run_folder(root) / "prediction", CLIP, CALL, host=host)
        evaluate(a_cfg(root))
        folder = run_folder(root) / "evaluation"
        index = without_what_may_differ(folder / "index.json")
        results.append((json.dumps(index), table_file(folder / "annotations", CLIP).read_bytes()))
    assert results[0] == results[1]


def test_a_second_run_does_nothing_and_says_so(tmp_path):
    run = run_folder(tmp_path)
    write_track(run / "prediction", CLIP, CALL)
    cfg = a_cfg(tmp_path)
    evaluate(cfg)
    before = (run / "evaluation/index.json").stat().st_mtime_ns
    progress_file = tmp_path / "progress.json"
    assert evaluate(cfg, progress_file).up_to_date
    assert (run / "evaluation/index.json").stat().st_mtime_ns == before
    progress = json.loads(progress_file.read_text(encoding="utf-8"))
    assert progress["message"].startswith("nothing to do")
    assert (progress["state"], progress["done"], progress["total"]) == ("done", 1, 1)


def other_threshold(root):
    a_cfg(root, threshold=0.93)


def other_scores(root):
    write_track(run_folder(root) / "prediction", CLIP, [0.1] * len(CALL))


def one_more_recording(root):
    write_track(run_folder(root) / "prediction", HOSTILE, CALL)


def a_lost_table(root):
    table_file(run_folder(root) / "evaluation/annotations", CLIP).unlink()


def a_damaged_index(root):
    (run_folder(root) / "evaluation/index.json").write_text("{", encoding="utf-8")


@pytest.mark.parametrize(
    "change",
    [other_threshold, other_scores, one_more_recording, a_lost_table, a_damaged_index],
    ids=lambda f: f.__name__,
)
def test_a_change_is_evaluated_anew(tmp_path, change):
    write_track(run_folder(tmp_path) / "prediction", CLIP, CALL)
    cfg = a_cfg(tmp_path)
    evaluate(cfg)
    change(tmp_path)
    assert not evaluate(cfg).up_to_date
    assert evaluate(cfg).up_to_date


def test_tables_of_recordings_that_are_gone_are_removed(tmp_path):
    run = run_folder(tmp_path)
    write_track(run / "prediction", CLIP, CALL)
    gone = write_track(run / "prediction", "gone.wav", CALL)
    cfg = a_cfg(tmp_path)
    evaluate(cfg)
    (run / "evaluation/annotations/my notes.txt").touch()
    gone.unlink()
    evaluate(cfg)
    left = sorted(path.name for path in (run / "evaluation/annotations").iterdir())
    assert left == sorted([table_file(run, CLIP).name, "my notes.txt"])


def test_a_broken_track_is_named_and_the_others_are_evaluated(tmp_path):
    run = run_folder(tmp_path)
    write_track(run / "prediction", CLIP, CALL)
    broken = write_track(run / "prediction", HOSTILE, CALL)
    cfg = a_cfg(tmp_path)
    evaluate(cfg)
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    for _ in range(2):  # and it stays a failure
        with pytest.raises(PartialFailure, match="1 of 2 recordings failed"):
            evaluate(cfg)
    failures = json.loads((run / "evaluation/failures.json").read_text(encoding="utf-8"))
    assert list(failures) == [HOSTILE.removesuffix(".wav")]
    assert [one.name for one in read_index(run / "evaluation/index.json", PredictionIndex).meta.recordings] == [CLIP]
    assert not table_file(run / "evaluation/annotations", HOSTILE).exists()
    broken.write_bytes(whole)
    assert evaluate(cfg).n_recordings == 2
    assert not (run / "evaluation/failures.json").exists()


def test_a_track_of_a_recording_that_can_no_longer_be_read_is_not_taken_for_current(tmp_path):
    run = run_folder(tmp_path)
    write_track(run / "prediction", CLIP, CALL)
    write_track(run / "prediction", HOSTILE, CALL)
    failures = run / "prediction" / "failures.json"
    failures.write_text(json.dumps({HOSTILE: "truncated: 12 bytes of audio are missing"}), encoding="utf-8")
    with pytest.raises(PartialFailure, match="1 of 2 recordings failed"):
        evaluate(a_cfg(tmp_path))
    index = read_index(run / "evaluation/index.json", PredictionIndex)
    assert [one.name for one in index.meta.recordings] == [CLIP]
    assert (
        "scored in an earlier state; prediction failed since: truncated"
        in json.loads((run / "evaluation/failures.json").read_text(encoding="utf-8"))[HOSTILE]
    )
    failures.unlink()  # predicted again
    assert evaluate(a_cfg(tmp_path)).n_recordings == 2


def test_where_no_track_can_be_read_nothing_is_changed(tmp_path):
    run = run_folder(tmp_path)
    track = write_track(run / "prediction", CLIP, CALL)
    evaluate(a_cfg(tmp_path))
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path != track}
    track.write_bytes(b"PAR1")
    with pytest.raises(InputError, match="none of 1 score tracks can be read; nothing was changed"):
        evaluate(a_cfg(tmp_path))
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path != track} == before


def test_a_recording_whose_name_contradicts_itself_fails_alone(tmp_path):
    run = run_folder(tmp_path)
    write_track(run / "prediction", CLIP, CALL)
    write_log(run / "prediction", "y.wav", ["/d/387_20201207_cut.wav_20_10.wav", *two_class_windows([(0, 0.4, 0.9)])])
    with pytest.raises(PartialFailure, match=r"387_20201207_cut\.wav_20_10\.wav"):
        evaluate(a_cfg(tmp_path))
    assert [one.name for one in read_index(run / "evaluation/index.json", PredictionIndex).meta.recordings] == [CLIP]


def test_noise_rows_stand_in_the_table_but_are_no_predictions(tmp_path):
    run = run_folder(tmp_path)
    write_track(run / "prediction", CLIP, CALL)
    evaluate(a_cfg(tmp_path, noise_in_anno=True))
    rows = read_selections(table_file(run / "evaluation/annotations", CLIP))
    assert [(row.begin_s, row.end_s, row.sound_type) for row in rows] == [
        (0.0, 0.05, "noise"),
        (0.05, 0.55, "target"),
        (0.55, 1.0, "noise"),
    ]
    assert all(row.cnn_logit_mean is not None for row in rows)
    assert [entry.label for entry in read_index(run / "evaluation/index.json", PredictionIndex).entries] == ["target"]


def test_noise_rows_are_called_noise_whatever_the_model_calls_that_class(tmp_path):
    run = run_folder(tmp_path)
    write_track(run / "prediction", CLIP, CALL, classes={"background": 0, "call": 1})
    evaluate(a_cfg(tmp_path, noise_in_anno=True))
    rows = read_selections(table_file(run / "evaluation/annotations", CLIP))
    assert [row.sound_type for row in rows] == ["noise", "call", "noise"]


def test_more_classes_are_labelled_by_name(tmp_path):
    run = run_folder(tmp_path)
    classes = {"noise": 0, "hum": 1, "alarm call": 2}
    probs = [[0.1, 0.8, 0.1]] * 2 + [[0.1, 0.1, 0.8]] * 12
    write_track(run / "prediction", CLIP, probs, classes=classes)
    evaluate(a_cfg(tmp_path))
    entries = read_index(run / "evaluation/index.json", PredictionIndex).entries
    assert [(one.label, one.start_s, one.end_s) for one in entries] == [("hum", 0.0, 0.45), ("alarm call", 0.45, 1.05)]


def test_scores_that_variants_share_are_read_from_scores_dir(tmp_path):
    write_track(tmp_path / "BENCHMARK/scores/m/len400_hop050", CLIP, CALL)
    done = evaluate(a_cfg(tmp_path, scores_dir="BENCHMARK/scores/m/len400_hop050"))
    assert done.n_selections == 1


def test_a_scores_dir_that_does_not_exist_is_not_passed_over(tmp_path):
    write_track(run_folder(tmp_path) / "prediction", CLIP, CALL)
    with pytest.raises(InputError, match=r"scores_dir .* does not exist"):
        evaluate(a_cfg(tmp_path, scores_dir="nowhere"))


def test_logs_are_enough_where_the_factory_named_a_scores_dir(tmp_path):
    windows = [(0.0, 0.4, 0.1), (0.05, 0.45, 0.9), (0.1, 0.5, 0.4)]
    write_log(run_folder(tmp_path) / "prediction", HOSTILE, log_header("/x/y", 26_400) + two_class_windows(windows))
    assert evaluate(a_cfg(tmp_path, scores_dir="BENCHMARK/scores/old/len400_hop050")).n_selections == 1


def test_tables_that_a_person_changed_are_kept_aside(tmp_path, capsys):
    run = run_folder(tmp_path)
    for recording in (CLIP, HOSTILE):
        write_track(run / "prediction", recording, CALL)
    evaluate(a_cfg(tmp_path))
    tables = run / "evaluation/annotations"
    changed, untouched = table_file(tables, HOSTILE), table_file(tables, CLIP)
    text = changed.read_text(encoding="utf-8")
    changed.write_text(text.replace("target", "noise"), encoding="utf-8")
    assert evaluate(a_cfg(tmp_path)).up_to_date  # the filter may be run on them as they are
    assert "noise" in changed.read_text(encoding="utf-8")
    evaluate(a_cfg(tmp_path, threshold=0.6))
    (aside,) = (run / "evaluation/edited").iterdir()
    assert [path.name for path in aside.iterdir()] == [changed.name]
    assert (aside / changed.name).read_text(encoding="utf-8") == text.replace("target", "noise")
    assert "target" in changed.read_text(encoding="utf-8")
    assert untouched.is_file()
    assert f"{aside}: holds 1 tables that were changed by hand" in capsys.readouterr().err


def _edit(table):
    table.write_text(table.read_text(encoding="utf-8").replace("target", "noise"), encoding="utf-8")


def _kept_aside(run):
    return sorted(path.name for path in (run / "evaluation").glob("edited/*/*"))


def test_tables_changed_after_an_interruption_are_kept_aside(tmp_path):
    run = run_folder(tmp_path)
    for recording in (CLIP, HOSTILE):
        write_track(run / "prediction", recording, CALL)
    stop = StopRequest()

    def check(_said):
        if list((run / "evaluation").glob("annotations/*")):
            raise Stopped("stopped")

    stop.check = check
    with pytest.raises(Stopped):
        evaluate(a_cfg(tmp_path), stop=stop)
    (table,) = (run / "evaluation/annotations").iterdir()
    _edit(table)
    evaluate(a_cfg(tmp_path))
    assert _kept_aside(run) == [table.name]
    assert not (run / "evaluation/tables.jsonl").exists()
    evaluate(a_cfg(tmp_path, threshold=0.6))
    assert _kept_aside(run) == [table.name]


def test_beside_an_index_of_an_earlier_version_younger_tables_count_as_changed(tmp_path):
    run = run_folder(tmp_path)
    for recording in (CLIP, HOSTILE):
        write_track(run / "prediction", recording, CALL)
    evaluate(a_cfg(tmp_path))
    index_file, tables = run / "evaluation/index.json", run / "evaluation/annotations"
    index = json.loads(index_file.read_text(encoding="utf-8"))
    del index["meta"]["tables"]
    index_file.write_text(json.dumps(index), encoding="utf-8")
    changed, own = table_file(tables, HOSTILE), tables / "mine.Table.1.selections.txt"
    _edit(changed)
    own.write_text("mine")
    for path in (changed, own):
        os.utime(path, (4e9, 4e9))
    evaluate(a_cfg(tmp_path, threshold=0.6))
    assert _kept_aside(run) == [changed.name]


def test_one_recording_under_two_names_is_noted(tmp_path):
    run = run_folder(tmp_path)
    for name in ("a.wav", "b.wav"):
        write_track(run / "prediction", name, CALL, audio_sha256="a" * 64)
    (note,) = evaluate(a_cfg(tmp_path)).notes
    assert note.startswith("a.wav and b.wav are the same audio, and count 2 times")


def test_an_empty_folder_is_bad_input_and_leaves_the_old_result(tmp_path):
    run = run_folder(tmp_path)
    write_track(run / "prediction", CLIP, CALL)
    cfg = a_cfg(tmp_path)
    evaluate(cfg)
    shutil.rmtree(run / "prediction")
    with pytest.raises(InputError, match="no such folder"):
        evaluate(cfg)
    assert (run / "evaluation/index.json").exists()


def test_a_cfg_mistake_names_the_nearest_key(tmp_path):
    cfg = a_cfg(tmp_path)
    cfg.write_text(cfg.read_text(encoding="utf-8").replace("threshold", "treshold"), encoding="utf-8")
    with pytest.raises(CfgError, match="did you mean 'threshold'"):
        evaluate(cfg)


def test_a_stopped_run_leaves_no_index_and_is_made_anew(tmp_path):
    run = run_folder(tmp_path)
    write_track(run / "prediction", CLIP, CALL)
    evaluate(a_cfg(tmp_path))
    cfg = a_cfg(tmp_path, threshold=0.6)
    stop = StopRequest()
    stop.signal_name = "SIGTERM"
    with pytest.raises(Stopped):
        evaluate(cfg, stop=stop)
    assert not (run / "evaluation/index.json").exists()
    assert evaluate(cfg).n_selections == 1


def _killed_at(monkeypatch, table, *, after):
    """Let the process end when it is about to write a table, or has just written it."""

    def killed(target, text, write=edited.write_text):
        if target.name == table.name:
            if after:
                write(target, text)
            raise KeyboardInterrupt
        write(target, text)

    monkeypatch.setattr(edited, "write_text", killed)


@pytest.mark.parametrize("after", [False, True])
def test_a_table_of_a_killed_run_is_not_taken_for_changed_by_hand(tmp_path, monkeypatch, capsys, after):
    run = run_folder(tmp_path)
    for recording in (CLIP, HOSTILE):
        write_track(run / "prediction", recording, CALL)
    evaluate(a_cfg(tmp_path))
    with monkeypatch.context() as patch:
        _killed_at(patch, table_file(run / "evaluation/annotations", HOSTILE), after=after)
        with pytest.raises(KeyboardInterrupt):
            evaluate(a_cfg(tmp_path, threshold=0.93))
    assert not evaluate(a_cfg(tmp_path, threshold=0.93)).up_to_date
    assert _kept_aside(run) == []
    assert "by hand" not in capsys.readouterr().err
    assert not (run / "evaluation" / edited.RECORD).exists()


def test_two_evaluations_of_a_run_do_not_write_at_the_same_time(tmp_path):
    run = run_folder(tmp_path)
    write_track(run / "prediction", CLIP, CALL)
    cfg, progress = a_cfg(tmp_path), tmp_path / "progress.json"
    with alone(run, run / "evaluation" / LOCK_FILE), pytest.raises(MachineError, match="another process is writing"):
        evaluate(cfg, progress)
    assert not progress.exists()  # it is the other's
    assert evaluate(cfg).n_selections == 1


def test_what_a_decoder_was_tuned_on_is_kept_up_to_date(tmp_path):
    run = run_folder(tmp_path)
    write_track(run / "prediction", CLIP, CALL)
    decoder = tmp_path / "decoder.json"
    cfg = a_cfg(tmp_path, decoder="hysteresis", decoder_file="decoder.json")

    def tune_on(tape):
        content = {"schema_version": 1, "best": "hysteresis", "decoders": {"hysteresis": {}}}
        content["tuned_on"] = {"tapes": [{"tape": tape}]}
        decoder.write_text(json.dumps(content), encoding="utf-8")

    tune_on("a.wav")
    evaluate(cfg)
    assert evaluate(cfg).up_to_date
    tune_on("b.wav")
    evaluate(cfg)
    tuned_on = read_index(run / "evaluation/index.json", PredictionIndex).meta.tuned_on
    assert tuned_on == {"tapes": [{"tape": "b.wav"}]}


def test_recordings_that_could_not_be_scored_are_told_of(tmp_path):
    run = run_folder(tmp_path)
    write_track(run / "prediction", CLIP, CALL)
    (run / "prediction/failures.json").write_text(json.dumps({"broken.wav": "truncated"}), encoding="utf-8")
    (note,) = evaluate(a_cfg(tmp_path)).notes
    assert "1 recordings could not be scored, and were not searched: broken.wav;" in note
