import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hum_evaluator.run import evaluate
from hum_evaluator.tracks import Prediction, find_sources, read_prediction
from hum_evaluator.truth import read_truth
from hum_evaluator.tune import f1_of, tune
from hum_evaluator.tune_data import Material, best_temperature, collect_material
from hum_evaluator.tune_search import (
    _f1_of_cuts,
    _neighbourhood,
    _objective,
    _plateau,
    tune_decoder,
    tune_union,
)
from hum_evaluator.tune_trials import BIN, IOUS, LARGEST, N_BINS, Met, Trial, _fold_errors, _shared, grid, trials
from hum_shared.config.cfg import write_cfg
from hum_shared.config.evaluation import EvaluationCfg
from hum_shared.decoders import DecoderSettings, Windows, decode
from hum_shared.decoders.candidates import Candidates
from hum_shared.errors import CfgError, InputError, Stopped
from hum_shared.files import sha256_json
from hum_shared.index import PredictionIndex, RecordingInfo, read_index
from hum_shared.intervals import as_intervals
from hum_shared.matching import match
from hum_shared.scores import read_score_track, score_writer
from hum_shared.stopping import StopRequest
from support.score_tracks import write_track

TAPES = ("387_20201207_cut.wav", "Ä 'weide' $1.v2_cut.wav", "389_20201207_cut.wav")
STEP_S = 0.02


def scene(seed, dur_s=60.0, onset_lag_s=0.0, steepness=6.0):
    """Frames of one tape: calls that score high, short bangs that score high too, and a noisy floor."""
    draw = np.random.default_rng(seed)
    n = round(dur_s / STEP_S)
    centre_s = (np.arange(n) + 0.5) * STEP_S
    odds = draw.normal(-4, 1.0, n)
    calls, at_s = [], 1.0
    while at_s < dur_s - 2:
        length_s = draw.uniform(0.3, 0.9)
        calls.append((at_s, at_s + length_s))
        odds[(centre_s >= at_s + onset_lag_s) & (centre_s < at_s + length_s)] += steepness + 4
        at_s += length_s + draw.uniform(0.5, 2)
        bang = (centre_s >= at_s) & (centre_s < at_s + 0.06)
        odds[bang] += steepness + 4
        at_s += draw.uniform(0.5, 1)
    return 1 / (1 + np.exp(-odds)), calls


def write_scene(root, tapes=TAPES, **options):
    entries, recordings = [], []
    for number, tape in enumerate(tapes):
        p, calls = scene(number, **options)
        write_track(root / "scores", tape, p, hop_s=STEP_S, window_s=STEP_S)
        recordings.append({"name": tape, "tape": tape, "offset_s": 0, "dur_s": len(p) * STEP_S})
        entries += [
            {
                "uid": len(entries) + row,
                "clip_path": f"labelled_recordings/{tape}",
                "dur_s": end - start,
                "clip_start_s": start,
                "clip_end_s": end,
                "raw_start_s": start,
                "raw_end_s": end,
            }
            for row, (start, end) in enumerate(calls, start=1)
        ]
    index = root / "corpus_index.json"
    index.write_text(json.dumps({"meta": {"recordings": recordings}, "entries": entries}), encoding="utf-8")
    return index


def material_of(root, tapes=TAPES, lags_s=None, **options):
    index = write_scene(root, tapes, **options)
    predictions = []
    for number, tape in enumerate(tapes):
        p, _ = scene(number, **options, **({} if lags_s is None else {"onset_lag_s": lags_s[number]}))
        start_s = np.arange(len(p)) * STEP_S
        windows = Windows(start_s, start_s + STEP_S, np.column_stack((1 - p, p)), 0, start_s + STEP_S / 2)
        info = RecordingInfo(name=tape, tape=tape, offset_s=0, dur_s=len(p) * STEP_S)
        predictions.append(Prediction(info, windows, ("noise", "target"), 0, 1))
    return collect_material(predictions, read_truth(index))


def test_what_tuning_finds_decodes_well_at_any_usual_threshold(tmp_path):
    index = write_scene(tmp_path)
    done = tune(index, tmp_path / "scores", "hysteresis", tmp_path / "models/decoder.json")
    by_threshold = done.content.results["hysteresis"]["f1_by_threshold"]
    assert min(f1["0.4"] for f1 in by_threshold.values()) > 0.98
    assert max(f1["0.4"] for f1 in by_threshold.values()) - min(f1["0.4"] for f1 in by_threshold.values()) < 0.02
    found = done.content.settings("hysteresis")
    assert found.min_duration_s > 0.06 or found.smoothing_s > 0  # the bangs
    assert done.content.results["hysteresis"]["f1_left_out"]["0.4"] > 0.95


def test_the_file_says_what_it_was_tuned_on(tmp_path):
    index = write_scene(tmp_path)
    content = json.loads(tune(index, tmp_path / "scores", "union").file.read_text(encoding="utf-8"))
    tuned_on = content["tuned_on"]
    assert [row["tape"] for row in tuned_on["tapes"]] == sorted(TAPES)
    assert tuned_on["tapes"][0]["recordings"] == [{"name": TAPES[0], "sha256": sha256_json(TAPES[0])}]
    assert tuned_on["hours"] == pytest.approx(3 * 60 / 3600)
    assert tuned_on["models"] == ["b" * 64]
    tried = content["results"]["union"]["tried"]
    assert tried["columns"] == ["threshold", "objective"]
    assert len(tried["rows"]) == content["results"]["union"]["n_settings"] == 22
    threshold = content["decoders"]["union"]["threshold"]
    odds = round(float(np.log(threshold / (1 - threshold))), 2)
    assert content["results"]["union"]["plateau_log_odds"] == [odds, odds]


def test_all_decoders_are_tuned_and_the_best_is_named(tmp_path):
    index = write_scene(tmp_path, tapes=TAPES[:2], dur_s=15.0)
    content = tune(index, tmp_path / "scores").content
    assert list(content.decoders) == ["hysteresis", "peak", "change", "union"]
    left_out = {name: np.mean(list(result["f1_left_out"].values())) for name, result in content.results.items()}
    assert left_out[content.best] >= max(left_out.values()) - 0.005


def test_of_equal_thresholds_of_union_the_plain_one_is_taken(tmp_path):
    index = write_scene(tmp_path, TAPES[:1], steepness=0.0)
    p = np.where(np.arange(round(60 / STEP_S)) % 100 < 50, 0.98, 0.02)
    write_track(tmp_path / "scores", TAPES[0], p, hop_s=STEP_S, window_s=STEP_S)
    assert tune(index, tmp_path / "scores", "union").content.decoders["union"] == {"threshold": 0.5}


def test_scores_that_find_nothing_are_tuned_with_a_warning(tmp_path):
    index = write_scene(tmp_path, TAPES[:1])
    write_track(tmp_path / "scores", TAPES[0], np.full(3000, 0.02), hop_s=STEP_S, window_s=STEP_S)
    assert [line for line in tune(index, tmp_path / "scores").warnings if "no setting finds a single call" in line]


def test_edges_that_come_late_are_shifted_back(tmp_path):
    material = material_of(tmp_path, onset_lag_s=0.1)
    found = tune_decoder("peak", material, 1.0)
    (windows, *_), (offset_s, *_) = material.windows, material.offsets_s
    selections = decode(windows, found.settings)
    detections = np.column_stack((selections.start_s, selections.end_s)) + offset_s
    i, j = match(material.calls, detections, 0.5)
    error_s = np.median(detections[j] - material.calls[i], axis=0)
    assert len(i) > 10
    np.testing.assert_allclose(error_s, 0, atol=0.01)


@pytest.mark.parametrize(
    ("late_s", "ends_late_s", "expected"),
    [
        ((0.10, 0.04, 0.08), (0.0, 0.0, 0.0), (-0.04, 0.0)),  # all late: what they share
        ((-0.06, -0.10, -0.08), (0.03, 0.05, 0.07), (0.06, -0.03)),
        ((0.10, -0.04, 0.08), (0.02, 0.02, -0.02), (0.0, 0.0)),  # the tapes disagree: nothing
    ],
)
def test_edges_are_shifted_by_what_all_tapes_share(late_s, ends_late_s, expected):
    calls = as_intervals([(at_s, at_s + 0.5) for at_s in range(1, 31)])
    fold = np.repeat([0, 1, 2], 10)
    late = np.column_stack((np.take(late_s, fold), np.take(ends_late_s, fold)))
    found = Candidates(*(calls + late).T, np.ones(30), np.ones(30), np.ones(30))
    material = Material((), (), 1, np.zeros(1), calls, fold, np.zeros(1, dtype=np.int64), 3)
    np.testing.assert_allclose(_shared(_fold_errors(material, found)[1]), expected, atol=1e-9)


def test_a_tape_left_out_is_judged_with_the_shifts_of_the_others(tmp_path):
    """Two tapes are late alike, the third is not: all share nothing, but the two share what misplaces the third."""
    material = material_of(tmp_path, lags_s=(0.2, 0.2, 0.0))
    found = tune_decoder("hysteresis", material, 1.0)
    assert found.settings.onset_shift_s == 0
    assert found.left_out[-1] < found.plateau.f1[-1] - 0.1
    alike = tune_decoder("hysteresis", material_of(tmp_path, lags_s=(0.2, 0.2, 0.2)), 1.0)
    assert alike.settings.onset_shift_s == pytest.approx(-0.2, abs=0.06)
    assert alike.left_out[-1] > alike.plateau.f1[-1] - 0.05


def test_what_was_left_out_of_nothing_says_nothing(tmp_path):
    material = material_of(tmp_path, tapes=TAPES[:2])
    of_one = replace(material, calls=material.calls[material.call_fold == 0], call_fold=np.zeros(
        np.count_nonzero(material.call_fold == 0), dtype=np.int64))  # fmt: skip
    assert tune_decoder("hysteresis", of_one, 1.0).left_out is None
    assert tune_union(of_one).left_out is None


def test_without_any_match_edges_are_not_shifted():
    material = Material((), (), 1, np.zeros(1), as_intervals([(1, 2)]), np.zeros(1, int), np.zeros(1, int), 1)
    none = Candidates(*np.empty((5, 0)))
    assert _shared(_fold_errors(material, none)[1]) == (0.0, 0.0)


@pytest.mark.parametrize("decoder", ["hysteresis", "peak", "change"])
def test_what_is_promised_is_what_decoding_gives(tmp_path, decoder):
    material = material_of(tmp_path)
    found = tune_decoder(decoder, material, 1.0)
    np.testing.assert_allclose(f1_of(found.settings, material), found.plateau.f1, atol=0.02)


def test_every_trial_counts_as_its_decoding_does(tmp_path):
    material = material_of(tmp_path, tapes=TAPES[:1], dur_s=20.0)
    true = np.array([len(material.calls)])
    every = np.ones(1, dtype=bool)
    for decoder in ("hysteresis", "peak", "change"):
        tried = list(trials(decoder, grid(decoder, material), material, 1.0))
        for trial in tried[:: max(1, len(tried) // 15)]:
            settings_ = DecoderSettings.model_validate(
                {
                    "decoder": decoder,
                    **trial.values,
                    "onset_shift_s": trial.shifts[0],
                    "offset_shift_s": trial.shifts[1],
                    "threshold": 0.8,
                    # The confidence is the threshold at the edge of a bin.
                    "confidence_shift": 1.5 - np.log(0.8 / 0.2),
                }
            )
            row = round((1.5 + LARGEST) / BIN)
            np.testing.assert_allclose(
                f1_of(settings_, material),
                _f1_of_cuts(trial, true, every)[:, row],
                atol=0.03,
                err_msg=str(trial.values),
            )


def test_scores_that_are_too_sure_get_a_higher_temperature(tmp_path):
    draw = np.random.default_rng(0)
    label = draw.random(20_000) < 0.5
    odds = np.where(label, 1.0, -1.0) * 1.5 + draw.logistic(0, 1, 20_000)
    sure = 1 / (1 + np.exp(-3 * odds))
    start_s = np.arange(20_000) * STEP_S
    windows = Windows(start_s, start_s + STEP_S, np.column_stack((1 - sure, sure)))
    calls = np.column_stack((start_s, start_s + STEP_S))[label]
    n = len(calls)
    material = Material(
        windows=(windows,),
        scored=(np.ones(len(start_s), dtype=bool),),
        class_index=1,
        offsets_s=np.zeros(1),
        calls=calls,
        call_fold=np.zeros(n, dtype=int),
        recording_fold=np.zeros(1, dtype=int),
        n_folds=1,
    )
    assert best_temperature(material) > 2


def test_a_second_run_does_nothing_and_a_change_is_tuned_anew(tmp_path):
    index = write_scene(tmp_path, dur_s=20.0)
    first = tune(index, tmp_path / "scores", "union")
    before = first.file.read_bytes()
    again = tune(index, tmp_path / "scores", "union")
    assert (again.up_to_date, again.content) == (True, first.content)
    write_track(tmp_path / "scores", TAPES[0], scene(9, dur_s=20.0)[0], hop_s=STEP_S, window_s=STEP_S)
    assert not tune(index, tmp_path / "scores", "union").up_to_date
    assert first.file.read_bytes() != before


def test_the_same_scores_give_the_same_file_but_for_its_provenance(tmp_path):
    index = write_scene(tmp_path, dur_s=20.0)
    contents = []
    for name in ("one.json", "two.json"):
        found = json.loads(tune(index, tmp_path / "scores", "peak", tmp_path / name).file.read_text(encoding="utf-8"))
        del found["provenance"]
        contents.append(found)
    assert contents[0] == contents[1]


def test_recordings_that_are_not_labelled_are_left_out_by_name(tmp_path):
    index = write_scene(tmp_path, dur_s=20.0)
    write_track(tmp_path / "scores", "stranger.wav", scene(9, dur_s=20.0)[0], hop_s=STEP_S, window_s=STEP_S)
    done = tune(index, tmp_path / "scores", "union")
    assert done.warnings == ("1 scored recordings are not labelled and left out, the first is stranger.wav",)
    assert len(done.content.tuned_on["tapes"]) == 3


def test_what_was_not_scored_counts_for_nothing(tmp_path):
    index = write_scene(tmp_path, TAPES[:1])
    sources, _ = find_sources(tmp_path / "scores", tmp_path / "scores")
    whole = read_prediction(sources[0])
    sure = np.clip(whole.windows.probs**3 / (whole.windows.probs**3).sum(axis=1, keepdims=True), 0, 1)
    instant_s = whole.windows.instant_s
    scored = (instant_s < 10) | ((instant_s >= 20) & (instant_s < 35))
    noise = np.where(scored[:, None], sure, [1.0, 0.0])
    info = whole.recording.model_copy(update={"scored_s": [(0.0, 10.0), (20.0, 35.0)]})
    partial = replace(whole, windows=replace(whole.windows, probs=noise), recording=info)
    _, calls = scene(0)
    middle = np.array(calls).mean(axis=1)
    inside = (middle < 10) | ((middle >= 20) & (middle < 35))
    assert 0 < inside.sum() < len(calls)

    material = collect_material([partial], read_truth(index))
    assert np.array_equal(material.calls, np.array(calls)[inside])
    alone = Windows(
        *(rows[scored] for rows in (whole.windows.start_s, whole.windows.end_s, sure)), 0, instant_s[scored]
    )
    of_the_part = collect_material([replace(whole, windows=alone)], read_truth(index))
    assert best_temperature(material) == best_temperature(replace(of_the_part, calls=material.calls)) > 1.5


def test_what_was_not_labelled_counts_for_nothing(tmp_path):
    index = write_scene(tmp_path, TAPES)
    whole = tune(index, tmp_path / "scores", "hysteresis", tmp_path / "whole.json")
    content = json.loads(index.read_text(encoding="utf-8"))
    for recording in content["meta"]["recordings"]:
        recording["dur_s"] = 40.0
    content["entries"] = [one for one in content["entries"] if one["clip_end_s"] < 40]
    index.write_text(json.dumps(content), encoding="utf-8")
    partly = tune(index, tmp_path / "scores", "hysteresis", tmp_path / "partly.json")
    assert partly.warnings == (f"60 s of 3 scored recordings are not labelled and left out, the first is {TAPES[0]}",)
    assert partly.content.tuned_on["hours"] == pytest.approx(3 * 40 / 3600, abs=1e-6)
    f1 = [made.content.results["hysteresis"]["f1_by_threshold"]["0.5"]["0.5"] for made in (whole, partly)]
    assert f1[1] == pytest.approx(f1[0], abs=0.03)


def test_a_track_that_was_scored_in_part_says_so_and_counts_its_hours(tmp_path):
    index = write_scene(tmp_path, TAPES[:1])
    (path,) = (tmp_path / "scores").iterdir()
    track = read_score_track(path)
    with score_writer(path, track.meta.model_copy(update={"scored_s": [(0.0, 18.0), (30.0, 48.0)]})) as writer:
        writer.append(track.start_s, track.end_s, track.probs)
    sources, _ = find_sources(tmp_path / "scores", tmp_path / "scores")
    assert read_prediction(sources[0]).notes == (
        f"{TAPES[0]}: only 36 s of 60 s were scored; nothing is found elsewhere",
    )
    done = tune(index, tmp_path / "scores", "hysteresis")
    assert done.content.tuned_on["hours"] == 0.01
    assert done.content.tuned_on["step_s"] == STEP_S
    assert done.warnings == ("tuned on one tape with calls: no other one was left out to check what was found",)


def test_scores_of_another_corpus_are_bad_input(tmp_path):
    index = write_scene(tmp_path / "one", dur_s=20.0)
    write_scene(tmp_path / "other", tapes=["x.wav"], dur_s=20.0)
    with pytest.raises(InputError, match="knows none of the 1 scored recordings"):
        tune(index, tmp_path / "other/scores", "union")


def test_tapes_without_calls_cannot_be_tuned_on(tmp_path):
    index = write_scene(tmp_path, dur_s=20.0)
    content = json.loads(index.read_text(encoding="utf-8"))
    index.write_text(json.dumps({**content, "entries": []}), encoding="utf-8")
    with pytest.raises(InputError, match="no call in the scored recordings"):
        tune(index, tmp_path / "scores", "union")


def test_networks_with_more_classes_are_refused(tmp_path):
    index = write_scene(tmp_path, dur_s=20.0)
    rows = np.full((1000, 3), 1 / 3)
    write_track(
        tmp_path / "scores", TAPES[0], rows, hop_s=STEP_S, window_s=STEP_S, classes={"noise": 0, "hum": 1, "alarm": 2}
    )
    with pytest.raises(InputError, match="3 classes"):
        tune(index, tmp_path / "scores", "union")


def test_a_missing_folder_is_bad_input(tmp_path):
    index = write_scene(tmp_path, dur_s=20.0)
    with pytest.raises(InputError, match="no such folder"):
        tune(index, tmp_path / "nowhere")


def test_a_stopped_tuning_writes_nothing(tmp_path):
    index = write_scene(tmp_path, dur_s=20.0)
    stop = StopRequest()
    stop.signal_name = "SIGTERM"
    with pytest.raises(Stopped):
        tune(index, tmp_path / "scores", "union", tmp_path / "decoder.json", stop=stop)
    assert not (tmp_path / "decoder.json").exists()


# --- what eval.cfg makes of it ---------------------------------------------------------------------------


def eval_cfg(root, **values):
    (root / "workspace.toml").touch()
    path = root / "BENCHMARK/cfg/m/v/eval.cfg"
    run = "BENCHMARK/runs/m/v"
    base = {
        "prediction_dir": f"{run}/prediction",
        "output_dir": f"{run}/evaluation/annotations",
        "scores_dir": "scores",
    }
    write_cfg(path, EvaluationCfg.model_validate({**base, **values}))
    return path


def test_a_run_reads_the_decoder_file_when_it_is_run(tmp_path):
    index = write_scene(tmp_path, dur_s=20.0)
    cfg = eval_cfg(tmp_path, decoder="hysteresis", decoder_file="models/decoder.json")
    with pytest.raises(InputError, match=r"decoder_file .*does not exist\. Run hum-evaluator tune"):
        evaluate(cfg)
    tuned = tune(index, tmp_path / "scores", "hysteresis", tmp_path / "models/decoder.json")
    evaluate(cfg)
    meta = read_index(tmp_path / "BENCHMARK/runs/m/v/evaluation/index.json", PredictionIndex).meta
    assert meta.model_extra["decoder_settings"]["edge_level"] == tuned.content.settings("hysteresis").edge_level
    assert evaluate(cfg).up_to_date
    changed = json.loads(tuned.file.read_text(encoding="utf-8"))
    changed["decoders"]["hysteresis"]["min_duration_s"] = 0.2999
    tuned.file.write_text(json.dumps(changed), encoding="utf-8")
    again = evaluate(cfg)
    assert (again.up_to_date, again.notes) == (False, ())
    changed["tuned_on"]["models"] = ["e" * 64]
    changed["decoders"]["hysteresis"]["min_duration_s"] = 0.3
    tuned.file.write_text(json.dumps(changed), encoding="utf-8")
    assert [note for note in evaluate(cfg).notes if "tuned on scores of another model" in note]


def test_a_decoder_that_was_not_tuned_is_refused(tmp_path):
    index = write_scene(tmp_path, dur_s=20.0)
    tune(index, tmp_path / "scores", "union", tmp_path / "models/decoder.json")
    with pytest.raises(CfgError, match="no settings of decoder peak"):
        evaluate(eval_cfg(tmp_path, decoder="peak", decoder_file="models/decoder.json"))


# --- pieces ----------------------------------------------------------------------------------------------


def test_a_spike_loses_to_the_middle_of_a_plateau():
    values = np.array([0.1, 0.99, 0.1, 0.8, 0.9, 0.9, 0.8])
    assert int(np.argmax(_neighbourhood(values, 1))) in (4, 5)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9), st.integers(1, 3))
@settings(max_examples=50)
def test_a_neighbourhood_stays_within_its_values(values, reach):
    found = _neighbourhood(np.array(values), reach)
    assert min(values) - 1e-12 <= found.min()
    assert found.max() <= max(values) + 1e-12


def plateau_of(*candidates, calls_from):
    """The plateau of 100 calls, a unit of log-odds wide, and other candidates: (log-odds, how many)."""
    predicted, met = np.zeros((1, N_BINS), dtype=np.int64), np.zeros((len(IOUS), 1, N_BINS), dtype=np.int64)
    calls = np.round((np.linspace(calls_from, calls_from + 1, 100) + LARGEST) / BIN).astype(int)
    np.add.at(predicted[0], calls, 1)
    np.add.at(met, (slice(None), 0, calls), 1)
    for odds, n in candidates:
        predicted[0, round((odds + LARGEST) / BIN)] += n
    counts = Met(predicted, met)
    trial, true, folds = Trial({}, (0.0, 0.0), counts, counts), np.array([100]), np.array([True])
    return _plateau(trial, true, folds), _objective(trial, true, folds)


@pytest.mark.parametrize(("calls_from", "candidates", "lowest", "highest"), [
    (6, [(-2.0, 1), (5.5, 4)], 1, 3),  # keeping these few out would leave the calls 0.5: they are let in
    (6, [(-2.0, 1), (0.5, 60)], 2, 4),  # these are many, and there is room
    (6, [], 1, 3),  # a spread of 1.5 log-odds costs little up to there
    (1, [], 0, 0.3),  # … but the cut does not fall below a probability of one half
    (-4, [], -5, -4),  # … unless the calls do
])  # fmt: skip
def test_the_cut_is_as_strict_as_costs_nothing(calls_from, candidates, lowest, highest):
    plateau, _ = plateau_of(*candidates, calls_from=calls_from)
    assert lowest <= plateau.cut <= highest


@pytest.mark.parametrize("calls_from", [1, 6, 12.8])
def test_without_a_false_alarm_the_objective_is_no_lower_and_the_cut_no_higher(calls_from):
    with_one, objective_with_one = plateau_of((-2.0, 1), calls_from=calls_from)
    without, objective = plateau_of(calls_from=calls_from)
    assert objective >= objective_with_one
    assert without.cut <= with_one.cut + BIN
    assert without.low < -2


def test_where_no_call_is_found_the_cut_is_the_plain_one():
    predicted, met = np.zeros((1, N_BINS), dtype=np.int64), np.zeros((len(IOUS), 1, N_BINS), dtype=np.int64)
    predicted[0, round((5 + LARGEST) / BIN)] = 3
    trial = Trial({}, (0.0, 0.0), Met(predicted, met), Met(predicted, met))
    assert _plateau(trial, np.array([0]), np.array([True])).cut == pytest.approx(0)
