import csv
import json
import unicodedata
from pathlib import Path

import pytest

from hum_evaluator.compare import Rules, compare
from hum_evaluator.csv_tables import write_paired, write_rows
from hum_evaluator.summary import leakage_line
from hum_shared.errors import InputError
from hum_shared.index import PredictionIndex, read_index

GOLDEN = Path(__file__).parents[1] / "golden" / "metrics.json"
TAPE, OTHER = "387_20201207_cut.wav", "Ä 'weide' $1.v2_20201208_cut.wav"
CLIP, NEXT_CLIP = f"{TAPE}_0_900.wav", f"{TAPE}_900_1800.wav"


def recording(name, tape, offset_s=0.0, dur_s=900.0):
    return {"name": name, "tape": tape, "offset_s": offset_s, "dur_s": dur_s}


def call(uid, clip, tape_start_s, tape_end_s, offset_s=0.0, quality=2):
    return {
        "uid": uid,
        "clip_path": f"labelled_recordings/{clip}",
        "quality": quality,
        "dur_s": tape_end_s - tape_start_s,
        "clip_start_s": tape_start_s - offset_s,
        "clip_end_s": tape_end_s - offset_s,
        "raw_start_s": tape_start_s,
        "raw_end_s": tape_end_s,
    }


def prediction(uid, name, start_s, end_s, **more):
    entry = {"uid": uid, "pred_path": "evaluation/annotations/x.txt", "tape": TAPE, "recording": name}
    return {**entry, "start_s": start_s, "end_s": end_s, "dur_s": end_s - start_s, **more}


def write_truth(root, entries, recordings=None):
    path = root / "corpus_index.json"
    meta = {} if recordings is None else {"recordings": recordings}
    path.write_text(json.dumps({"meta": meta, "entries": entries}), encoding="utf-8")
    return path


def write_run(root, entries, recordings=None, model="m", variant="v", layer="evaluation"):
    path = root / "runs" / model / variant / layer / "index.json"
    path.parent.mkdir(parents=True)
    meta = {} if recordings is None else {"recordings": recordings}
    path.write_text(json.dumps({"meta": meta, "entries": entries}), encoding="utf-8")


def compared(root, **rules):
    return compare(root / "corpus_index.json", root / "runs", Rules(**rules))


def read_csv(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def assert_rows(found, expected):
    assert len(found) == len(expected)
    for row, wanted in zip(found, expected, strict=True):
        for column, value in wanted.items():
            if column.startswith("f1_q"):  # the originals' own; not ours
                continue
            if value is None or isinstance(value, str):
                assert row[column] == (value or "")
            else:
                assert float(row[column]) == pytest.approx(value, abs=1e-9), column


@pytest.mark.parametrize("matching", ["greedy", "optimal"])
def test_the_golden_benchmark_gives_the_golden_tables(tmp_path, matching):
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    (tmp_path / "corpus_index.json").write_text(json.dumps(golden["gt"]), encoding="utf-8")
    folder = tmp_path / "runs/m/v/evaluation"
    folder.mkdir(parents=True)
    (folder / "index.json").write_text(json.dumps(golden["pred"]), encoding="utf-8")
    found = compared(tmp_path, matching=matching)
    write_rows(tmp_path / "metrics.csv", found.runs, per_tape=False)
    write_rows(tmp_path / "tapes.csv", found.tapes, per_tape=True)
    assert_rows(read_csv(tmp_path / "metrics.csv"), golden["metrics"])
    assert_rows(read_csv(tmp_path / "tapes.csv"), golden["per_tape"])
    assert found.warnings == []


def test_clips_with_an_offset_match_in_tape_time(tmp_path):
    write_truth(tmp_path, [call(1, NEXT_CLIP, 910.0, 911.0, offset_s=900)])
    write_run(tmp_path, [prediction(1, NEXT_CLIP, 10.0, 11.0)], variant="names")
    write_run(tmp_path, [prediction(1, NEXT_CLIP, 10.0, 11.0, tape_start_s=910.0, tape_end_s=911.0)], variant="times")
    table = f"evaluation/annotations/{TAPE}_900_1800_predict_output.log.annotation.result.txt"
    write_run(tmp_path, [prediction(1, None, 10.0, 11.0, pred_path=table)], variant="tables")
    write_run(tmp_path, [prediction(1, None, 10.0, 11.0, tape=NEXT_CLIP)], variant="old tapes")
    write_run(tmp_path, [prediction(1, None, 910.0, 911.0)], variant="plain")
    assert [row["tp"] for row in compared(tmp_path).runs] == [1] * 5


def test_rows_are_sorted_by_model_variant_and_layer(tmp_path):
    write_truth(tmp_path, [call(1, CLIP, 1, 2)])
    for model, variant, layer in [("b", "x", "postrf"), ("b", "x", "evaluation"), ("a b", "$y", "evaluation")]:
        write_run(tmp_path, [], model=model, variant=variant, layer=layer)
    found = compared(tmp_path)
    assert [(row["model"], row["variant"], row["layer"]) for row in found.runs] == [
        ("a b", "$y", "evaluation"),
        ("b", "x", "evaluation"),
        ("b", "x", "postrf"),
    ]
    assert found.notes == ["no postrf index, layer left out: a b/$y"]


@pytest.mark.parametrize(("layer", "count"), [("evaluation", 1), ("postrf", 0)])
def test_only_the_wanted_layer_is_compared(tmp_path, layer, count):
    write_truth(tmp_path, [call(1, CLIP, 1, 2)])
    write_run(tmp_path, [], variant="v", layer="evaluation")
    write_run(tmp_path, [], variant="w", layer="postrf")
    found = compared(tmp_path, layers=(layer,))
    assert [(row["variant"], row["layer"]) for row in found.runs] == [("vw"[1 - count], layer)]


def test_a_run_without_predictions_is_a_row(tmp_path):
    write_truth(tmp_path, [call(1, CLIP, 1, 2)])
    write_run(tmp_path, [], [recording(CLIP, TAPE)])
    found = compared(tmp_path)
    write_rows(tmp_path / "m.csv", found.runs, per_tape=False)
    (row,) = read_csv(tmp_path / "m.csv")
    assert (row["n_gt"], row["n_pred"], row["fn"], row["precision"], row["f1"]) == ("1", "0", "1", "0.0", "0.0")
    assert (row["mean_dstart_ms"], row["mean_dend_ms"], row["pearson_calls"]) == ("", "", "")
    assert found.warnings == []


def test_noise_rows_of_an_index_are_no_predictions(tmp_path):
    write_truth(tmp_path, [call(1, CLIP, 1, 2)])
    write_run(tmp_path, [prediction(1, CLIP, 0, 1, label="Noise"), prediction(2, CLIP, 1, 2, label="target")])
    assert compared(tmp_path).runs[0]["n_pred"] == 1


def test_every_tape_has_a_row_also_those_without_calls_or_predictions(tmp_path):
    empty = "388_20201207_cut.wav"
    known = [recording(CLIP, TAPE), recording(OTHER, OTHER), recording(empty, empty)]
    write_truth(tmp_path, [call(1, CLIP, 1, 2), call(2, CLIP, 5, 6)], known)
    write_run(tmp_path, [prediction(1, CLIP, 1, 2), prediction(2, OTHER, 1, 2, tape=OTHER)], known)
    found = compared(tmp_path)
    assert [(row["tape"], row["n_gt"], row["n_pred"]) for row in found.tapes] == [
        (TAPE, 2, 1),
        (empty, 0, 0),
        (OTHER, 0, 1),
    ]
    assert found.runs[0]["pearson_calls"] == pytest.approx(0.5)
    assert found.warnings == []


def test_predictions_in_unknown_recordings_are_counted_and_named(tmp_path):
    write_truth(tmp_path, [call(1, CLIP, 1, 2)])
    write_run(tmp_path, [prediction(1, CLIP, 1, 2), prediction(2, OTHER, 1, 2, tape=OTHER)])
    found = compared(tmp_path)
    assert (found.runs[0]["n_pred"], found.runs[0]["fp"]) == (2, 1)
    assert [row["tape"] for row in found.tapes] == [TAPE, OTHER]
    (warning,) = found.warnings
    assert OTHER in warning


def test_predictions_in_unknown_recordings_can_be_left_out(tmp_path):
    write_truth(tmp_path, [call(1, CLIP, 1, 2)])
    write_run(tmp_path, [prediction(1, CLIP, 1, 2), prediction(2, OTHER, 1, 2, tape=OTHER)])
    found = compared(tmp_path, unknown="ignore")
    assert (found.runs[0]["n_pred"], found.runs[0]["fp"]) == (1, 0)
    assert [row["tape"] for row in found.tapes] == [TAPE]


@pytest.mark.parametrize(("unknown", "tapes"), [("count", [TAPE, OTHER]), ("ignore", [TAPE])])
def test_an_unknown_tape_without_predictions_counts_like_one_with_some(tmp_path, unknown, tapes):
    write_truth(tmp_path, [call(1, CLIP, 1, 2)])
    write_run(tmp_path, [prediction(1, CLIP, 1, 2)], [recording(CLIP, TAPE), recording(OTHER, OTHER)])
    assert [row["tape"] for row in compared(tmp_path, unknown=unknown).tapes] == tapes


@pytest.mark.parametrize("rules", [{"unknown": "error"}, {"strict": True}])
def test_predictions_in_unknown_recordings_can_be_refused(tmp_path, rules):
    write_truth(tmp_path, [call(1, CLIP, 1, 2)])
    write_run(tmp_path, [prediction(2, OTHER, 1, 2, tape=OTHER)])
    with pytest.raises(InputError, match="does not know"):
        compared(tmp_path, **rules)


def test_a_clip_of_a_known_tape_that_was_not_labelled_is_unknown(tmp_path):
    write_truth(tmp_path, [call(1, CLIP, 1, 2)], [recording(CLIP, TAPE)])
    write_run(tmp_path, [prediction(1, NEXT_CLIP, 1, 2), prediction(2, TAPE, 1, 2)])
    (warning,) = compared(tmp_path).warnings
    assert "1 predictions" in warning
    assert NEXT_CLIP in warning


@pytest.mark.parametrize(("unknown", "precision", "hours"), [("count", 0.5, 0.5), ("ignore", 1.0, 0.25)])
def test_selections_beyond_the_labelled_part_of_a_tape_are_named(tmp_path, unknown, precision, hours):
    write_truth(tmp_path, [call(1, CLIP, 1, 2)], [recording(CLIP, TAPE)])
    write_run(
        tmp_path, [prediction(1, TAPE, 1, 2), prediction(2, TAPE, 1000, 1001)], [recording(TAPE, TAPE, dur_s=1800.0)]
    )
    found = compared(tmp_path, unknown=unknown)
    assert (found.runs[0]["precision"], found.runs[0]["hours"]) == (precision, hours)
    assert "m/v evaluation: 1 predictions outside the labelled parts of their tapes" in found.warnings[0]
    for refusing in ({"unknown": "error"}, {"strict": True}):
        with pytest.raises(InputError, match="outside the labelled parts"):
            compared(tmp_path, **refusing)


@pytest.mark.parametrize("unknown", ["count", "ignore", "error"])
def test_a_selection_on_a_call_is_known_wherever_its_middle_lies(tmp_path, unknown):
    write_truth(tmp_path, [call(1, CLIP, 899, 900)], [recording(CLIP, TAPE)])
    write_run(tmp_path, [prediction(1, TAPE, 899.2, 901)], [recording(TAPE, TAPE, dur_s=1800.0)])
    found = compared(tmp_path, unknown=unknown)
    assert (found.runs[0]["tp"], found.warnings) == (1, [])


def test_parts_of_a_recording_that_were_not_scored_are_no_hours_and_their_calls_were_never_scored(tmp_path):
    write_truth(tmp_path, [call(1, CLIP, 1, 2), call(2, CLIP, 500, 501)], [recording(CLIP, TAPE)])
    write_run(tmp_path, [prediction(1, CLIP, 1, 2)], [{**recording(CLIP, TAPE), "scored_s": [(0.0, 90.0)]}])
    with pytest.raises(InputError, match="never scored"):
        compared(tmp_path)
    (row,) = compared(tmp_path, allow_missing=True).runs
    assert (row["hours"], row["recall"], row["gt_per_hour"]) == (0.025, 0.5, 40.0)


def test_calls_in_recordings_that_were_never_scored_are_refused_by_name(tmp_path):
    write_truth(tmp_path, [call(1, CLIP, 1, 2), call(2, NEXT_CLIP, 901, 902, offset_s=900)])
    write_run(tmp_path, [prediction(1, CLIP, 1, 2)], [recording(CLIP, TAPE)])
    with pytest.raises(InputError, match="never scored") as caught:
        compared(tmp_path)
    assert NEXT_CLIP in str(caught.value)
    assert f"{CLIP}," not in str(caught.value)


def test_a_labelled_recording_without_calls_that_was_never_scored_is_refused_by_name(tmp_path):
    write_truth(tmp_path, [call(1, CLIP, 1, 2)], [recording(CLIP, TAPE), recording(NEXT_CLIP, TAPE, 900)])
    write_run(tmp_path, [prediction(1, CLIP, 1, 2)], [recording(CLIP, TAPE)])
    with pytest.raises(InputError, match="never scored") as caught:
        compared(tmp_path)
    assert NEXT_CLIP in str(caught.value)
    assert compared(tmp_path, allow_missing=True).runs[0]["tp"] == 1


def test_calls_that_were_never_scored_count_as_missed_when_allowed(tmp_path):
    write_truth(tmp_path, [call(1, CLIP, 1, 2), call(2, NEXT_CLIP, 901, 902, offset_s=900)])
    write_run(tmp_path, [prediction(1, CLIP, 1, 2)], [recording(CLIP, TAPE)])
    found = compared(tmp_path, allow_missing=True)
    assert (found.runs[0]["tp"], found.runs[0]["fn"]) == (1, 1)
    assert len(found.warnings) == 1


def test_scoring_the_whole_tape_scores_its_clips(tmp_path):
    write_truth(tmp_path, [call(1, NEXT_CLIP, 901, 902, offset_s=900)], [recording(NEXT_CLIP, TAPE, 900)])
    write_run(tmp_path, [prediction(1, TAPE, 901, 902)], [recording(TAPE, TAPE, 0, 7200)])
    found = compared(tmp_path)
    assert (found.runs[0]["tp"], found.warnings) == (1, [])


def test_all_refusals_are_told_at_once(tmp_path):
    write_truth(tmp_path, [call(1, CLIP, 1, 2)])
    for variant in ("one", "two"):
        write_run(tmp_path, [], [], variant=variant)
    with pytest.raises(InputError, match=r"2 problems: m/one .*m/two"):
        compared(tmp_path)


def test_a_run_without_index_is_left_out_with_a_warning(tmp_path):
    write_truth(tmp_path, [call(1, CLIP, 1, 2)])
    write_run(tmp_path, [])
    (tmp_path / "runs/m/later/prediction").mkdir(parents=True)
    found = compared(tmp_path)
    assert len(found.runs) == 1
    assert found.warnings == ["m/later: no evaluation or postrf index: left out"]


def test_no_runs_are_bad_input(tmp_path):
    write_truth(tmp_path, [call(1, CLIP, 1, 2)])
    with pytest.raises(InputError, match="no such folder"):
        compared(tmp_path)
    (tmp_path / "runs").mkdir()
    with pytest.raises(InputError, match="no runs"):
        compared(tmp_path)
    (tmp_path / "runs/m/v").mkdir(parents=True)
    with pytest.raises(InputError, match="no index to compare"):
        compared(tmp_path)


@pytest.mark.parametrize("iou", [0, -0.1, 1.01, float("nan")])
def test_an_iou_that_is_none_is_refused(iou):
    with pytest.raises(InputError, match="--iou"):
        Rules(min_iou=iou)


def test_the_same_runs_give_the_same_bytes(tmp_path):
    write_truth(tmp_path, [call(1, CLIP, 1, 2)])
    write_run(tmp_path, [prediction(1, CLIP, 1.1, 2)])
    for name in ("one.csv", "two.csv"):
        write_rows(tmp_path / name, compared(tmp_path).tapes, per_tape=True)
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()


# --- columns behind the first ones, differences, leakage -------------------------------------------------


def test_new_columns_stand_behind_the_old_ones(tmp_path):
    write_truth(tmp_path, [call(1, CLIP, 1, 2), call(2, CLIP, 5, 6)])
    write_run(tmp_path, [prediction(1, CLIP, 1.1, 2, confidence=0.9)], [recording(CLIP, TAPE, dur_s=1800.0)])
    found = compared(tmp_path)
    write_rows(tmp_path / "m.csv", found.runs, per_tape=False)
    write_rows(tmp_path / "t.csv", found.tapes, per_tape=True)
    header = (tmp_path / "m.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
    assert header[:7] == ["n_gt", "n_pred", "tp", "fp", "fn", "precision", "recall"]
    assert header[header.index("layer") + 1] == "precision_iou30"
    (row,) = read_csv(tmp_path / "m.csv")
    assert float(row["hours"]) == 0.5
    assert float(row["average_precision"]) == 0.5
    assert float(row["bias_onset_ms"]) == pytest.approx(100)
    assert (row["interval_by"], row["f1_low"], row["f1_high"]) == ("one-minute block", "", "")  # all in one minute
    (tape,) = read_csv(tmp_path / "t.csv")
    assert (tape["f1_collar"], tape["pred_per_hour"]) == (row["f1_collar"], "2.0")


def test_hours_count_stretches_that_overlap_once_and_are_unknown_in_old_files(tmp_path):
    write_truth(tmp_path, [call(1, CLIP, 1, 2)])
    overlapping = [recording(CLIP, TAPE), recording("b.wav", TAPE, offset_s=450.0)]
    write_run(tmp_path, [], overlapping, variant="known")
    write_run(tmp_path, [], variant="old")
    found = compared(tmp_path)
    assert [row["hours"] for row in found.runs] == [pytest.approx(1350 / 3600), None]
    assert found.notes[0] == f"recordings of tape {TAPE} share 450 s: what is found there counts once for each"


def test_differences_between_runs_are_written_with_a_verdict(tmp_path):
    tapes = [f"38{number}_20201207_cut.wav" for number in range(6)]
    write_truth(
        tmp_path, [call(number, tape, 1, 2) for number, tape in enumerate(tapes)], [recording(t, t) for t in tapes]
    )
    hits = [prediction(number, tape, 1, 2, tape=tape) for number, tape in enumerate(tapes)]
    write_run(tmp_path, hits, [recording(t, t) for t in tapes], variant="good")
    write_run(tmp_path, hits[:3], [recording(t, t) for t in tapes], variant="poor")
    found = compared(tmp_path)
    write_paired(tmp_path / "paired.csv", found.paired)
    (row,) = read_csv(tmp_path / "paired.csv")
    assert (row["variant"], row["other_variant"], row["interval_by"]) == ("poor", "good", "tape")
    assert row["verdict"].startswith("worse on 3 of 6 tapes, ΔF1 -0.33 [-0.")
    assert found.runs[0]["interval_by"] == "tape"


def write_card(root, tapes, recordings=None, model="m"):
    (root / "workspace.toml").touch()
    path = root / "TRAINING/runs/models" / model / "models/model.json"
    path.parent.mkdir(parents=True)
    data = {"tapes": {"train": tapes}, "recordings": recordings or {}}
    path.write_text(json.dumps({"training_data": data}), encoding="utf-8")


def test_a_benchmark_tape_that_was_trained_on_is_named_and_refused_when_strict(tmp_path):
    write_truth(tmp_path, [call(1, CLIP, 1, 2)])
    for variant in ("v", "w"):
        write_run(tmp_path, [], [recording(CLIP, TAPE)], variant=variant)
    write_card(tmp_path, [TAPE])
    found = compared(tmp_path)
    assert found.warnings == [f"m: leakage: 1 benchmark tape in training (train): {TAPE}"]
    with pytest.raises(InputError, match="leakage"):
        compared(tmp_path, strict=True)


@pytest.mark.parametrize("unknown", ["count", "ignore"])
def test_of_an_index_that_does_not_say_what_was_scored_the_labelled_tapes_are_certified(tmp_path, unknown):
    write_truth(tmp_path, [call(1, CLIP, 1, 2)])
    write_run(tmp_path, [])
    write_card(tmp_path, [TAPE])
    assert any("leakage" in line for line in compared(tmp_path, unknown=unknown).warnings)


@pytest.mark.parametrize(("unknown", "leaks"), [("count", 1), ("ignore", 0)])
def test_a_training_tape_that_is_not_compared_is_no_leak(tmp_path, unknown, leaks):
    write_truth(tmp_path, [call(1, CLIP, 1, 2)])
    write_run(tmp_path, [], [recording(CLIP, TAPE), recording(OTHER, OTHER)])
    write_card(tmp_path, [OTHER])
    assert len([line for line in compared(tmp_path, unknown=unknown).warnings if "leakage" in line]) == leaks


def test_the_card_of_a_model_that_was_trained_again_certifies_nothing(tmp_path):
    write_truth(tmp_path, [call(1, CLIP, 1, 2)])
    write_run(tmp_path, [], [recording(CLIP, TAPE)])
    write_card(tmp_path, [OTHER])
    card = tmp_path / "TRAINING/runs/models/m/models/model.json"
    with_meta(tmp_path, "evaluation", models=["a" * 64])
    known = json.loads(card.read_text(encoding="utf-8"))
    card.write_text(json.dumps({**known, "model_sha256": "a" * 64}), encoding="utf-8")
    assert compared(tmp_path, strict=True).certificates["m", "evaluation"].missing == ()
    card.write_text(json.dumps({**known, "model_sha256": "b" * 64}), encoding="utf-8")
    found = compared(tmp_path)
    certificate = found.certificates["m", "evaluation"]
    assert found.warnings[0].startswith("m: trained again since it made these scores")
    assert (certificate.sources, len(certificate.missing)) == ((), 1)
    with pytest.raises(InputError, match="trained again"):
        compared(tmp_path, strict=True)


def with_meta(root, layer, **more):
    index = root / "runs/m/v" / layer / "index.json"
    content = json.loads(index.read_text(encoding="utf-8"))
    index.write_text(json.dumps({**content, "meta": {**content["meta"], **more}}), encoding="utf-8")


def test_a_filtered_layer_of_another_evaluation_is_warned_about(tmp_path):
    """A stricter threshold then looks like a filter: the entries alone do not tell."""
    write_truth(tmp_path, [call(1, CLIP, 1, 2)])
    for layer in ("evaluation", "postrf"):
        write_run(tmp_path, [prediction(1, CLIP, 1.0, 2.0)], [recording(CLIP, TAPE)], layer=layer)
    evaluation = read_index(tmp_path / "runs/m/v/evaluation/index.json", PredictionIndex)
    with_meta(tmp_path, "postrf", evaluation_sha256=evaluation.selections_sha256)
    assert compared(tmp_path, strict=True).warnings == []
    more = [prediction(1, CLIP, 1.0, 2.0), prediction(2, CLIP, 3.0, 4.0)]
    (tmp_path / "runs/m/v/evaluation/index.json").unlink()
    (tmp_path / "runs/m/v/evaluation").rmdir()
    write_run(tmp_path, more, [recording(CLIP, TAPE)])
    (warning,) = compared(tmp_path).warnings
    assert warning == "m/v: postrf was filtered from an earlier evaluation. Run hum-rf-filter run again"
    with pytest.raises(InputError, match="earlier evaluation"):
        compared(tmp_path, strict=True)


def test_a_filtered_layer_with_selections_of_its_own_is_warned_about(tmp_path):
    write_truth(tmp_path, [call(1, CLIP, 1, 2)])
    both = [prediction(1, CLIP, 1.0, 2.0), prediction(2, CLIP, 3.0, 4.0)]
    for layer, entries in (("evaluation", both[:1]), ("postrf", both)):
        write_run(tmp_path, entries, [recording(CLIP, TAPE)], layer=layer)
        with_meta(tmp_path, layer, provenance={"code_version": "0.1.0"})
    (warning,) = compared(tmp_path).warnings
    assert warning.startswith("m/v: 1 of 2 postrf selections are not in its evaluation, made anew since")


def test_the_corpus_tells_digests_that_an_index_made_of_text_logs_lacks(tmp_path):
    write_truth(tmp_path, [call(1, CLIP, 1, 2)], [{**recording(CLIP, TAPE), "sha256": "a" * 64}])
    write_run(tmp_path, [], [recording(CLIP, TAPE)])
    write_card(tmp_path, [OTHER], {"train": {OTHER: "a" * 64}})
    found = compared(tmp_path)
    assert found.warnings == [f"m: leakage: the audio of benchmark recordings is in training: {CLIP}"]


@pytest.mark.parametrize(("digest", "said"), [("a" * 64, ""), (None, "; not all digests are known")])
def test_models_that_could_be_checked_by_the_names_of_tapes_alone_are_named(tmp_path, digest, said):
    write_truth(tmp_path, [call(1, CLIP, 1, 2)], [{**recording(CLIP, TAPE), "sha256": "b" * 64}])
    write_run(tmp_path, [], [recording(CLIP, TAPE)])
    write_card(tmp_path, [OTHER], {"train": {OTHER: digest}})
    line = leakage_line(compared(tmp_path))
    assert line.startswith(f"leakage: 0 of 1 models and layers that could be checked have seen benchmark data{said}")
    assert line.endswith("may be missed: m") == bool(said)


def test_tapes_apart_are_certified(tmp_path):
    write_truth(tmp_path, [call(1, CLIP, 1, 2)])
    write_run(tmp_path, [], [recording(CLIP, TAPE)])
    write_card(tmp_path, [OTHER])
    found = compared(tmp_path, strict=True)
    certificate = found.certificates["m", "evaluation"]
    assert (certificate.overlaps, certificate.missing, certificate.sources[0].source) == ((), (), "training")


def test_the_filters_own_tapes_are_compared_too(tmp_path):
    write_truth(tmp_path, [call(1, CLIP, 1, 2)])
    write_card(tmp_path, [OTHER])
    write_run(tmp_path, [], [recording(CLIP, TAPE)], layer="postrf")
    index = tmp_path / "runs/m/v/postrf/index.json"
    content = json.loads(index.read_text(encoding="utf-8"))
    index.write_text(json.dumps({**content, "meta": {**content["meta"], "rf_model": "rf/forest.skops"}}), "utf-8")
    (tmp_path / "rf").mkdir()
    card = tmp_path / "rf/forest.card.json"
    card.write_text(json.dumps({"tapes": {"train": [TAPE]}}), encoding="utf-8")
    assert compared(tmp_path).warnings == [f"m: leakage: 1 benchmark tape in filter (train): {TAPE}"]
    card.unlink()
    found = compared(tmp_path)
    assert found.warnings == []
    assert found.certificates["m", "postrf"].missing == (
        "forest.skops: no card, so the filter's training tapes are unknown",
    )


def test_a_run_tells_what_its_decoder_was_tuned_on_wherever_that_file_lies(tmp_path):
    write_truth(tmp_path, [call(1, CLIP, 1, 2)])
    write_run(tmp_path, [prediction(1, CLIP, 1.0, 2.0)], [recording(CLIP, TAPE)], variant="a clean one")
    tuned_on = {"tapes": [{"tape": TAPE, "recordings": [{"name": CLIP, "sha256": "c" * 64}]}]}
    path = tmp_path / "runs/m/tuned by hand/evaluation/index.json"
    path.parent.mkdir(parents=True)
    meta = {"recordings": [recording(CLIP, TAPE)], "tuned_on": tuned_on}
    path.write_text(json.dumps({"meta": meta, "entries": [prediction(1, CLIP, 1.0, 2.0)]}), encoding="utf-8")
    card = tmp_path / "TRAINING/runs/models/m/models/model.json"
    card.parent.mkdir(parents=True)
    card.write_text(json.dumps({"training_data": {"tapes": {"train": [TAPE + "x"]}}}), encoding="utf-8")
    (tmp_path / "workspace.toml").touch()
    found = compared(tmp_path)
    assert found.notes == ["no postrf index, layer left out: m/a clean one, m/tuned by hand"]
    assert found.warnings == [f"m: leakage: 1 benchmark tape in tuning (tuned): {TAPE}"]
    assert found.certificates["m", "evaluation"].overlaps[0].source == "tuning"
    with pytest.raises(InputError, match="leakage"):
        compared(tmp_path, strict=True)


def test_a_missing_ground_truth_says_how_to_write_it(tmp_path):
    write_run(tmp_path, [])
    with pytest.raises(InputError, match=r"corpus_index\.json: no such file. Write it with hum-trainer index-corpus"):
        compared(tmp_path)


def test_tapes_whose_names_come_in_two_unicode_forms_are_compared(tmp_path):
    tape = "Grün_20201207_cut.wav"
    composed, apart = (unicodedata.normalize(form, tape) for form in ("NFC", "NFD"))
    write_truth(tmp_path, [call(1, composed, 10.0, 11.0)], [recording(composed, composed)])
    found = prediction(1, apart, 10.0, 11.0, tape=apart)
    write_run(tmp_path, [found], [recording(apart, apart)])
    (row,) = compared(tmp_path).runs
    assert (row["f1"], row["n_pred"]) == (1.0, 1)
    assert compared(tmp_path).warnings == []
