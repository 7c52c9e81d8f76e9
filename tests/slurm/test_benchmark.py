from __future__ import annotations

import shlex
import zipfile
from pathlib import Path
from typing import Any

import pytest

from hum_shared.config.cfg import read_cfg
from hum_shared.config.evaluation import EvaluationCfg
from hum_shared.config.prediction import PredictionCfg
from hum_shared.errors import CfgError, InputError
from hum_slurm.cluster import submit_stages
from hum_slurm.context import open_context
from hum_slurm.factories.benchmark import plan_benchmark
from hum_slurm.factories.training import plan_training
from hum_slurm.plan import Plan
from hum_slurm.recordings import labelled_recordings
from support.slurm_workspace import HOSTILE, make_workspace, read_rows, write_json

V50 = {"seq_len": 0.4, "hop": 0.05, "threshold": 0.5}
V90 = {"seq_len": 0.4, "hop": 0.05, "threshold": 0.9}
FINE = {"seq_len": 0.4, "hop": 0.01, "threshold": 0.9}


def trained(root: Path) -> Path:
    """A workspace with one trained-to-be model, v1_a."""
    make_workspace(root, "dataset_a")
    plan_training(open_context(root), data_root=str(root / "data/train")).write()
    return root


def plan(root: Path, variants: Any = (V50, V90, FINE), **options: Any) -> Plan:
    path = write_json(root.parent / "benchmark_variants.json", list(variants))
    corpus = str(root / "data" / "bench")
    return plan_benchmark(open_context(root), **{"corpus_root": corpus, "variants_json": str(path), **options})


def predict_rows(root: Path, tree: str = "BENCHMARK") -> list[dict[str, Any]]:
    return read_rows(root / tree / "jobs" / "predict.manifest.jsonl")


def prediction_cfg(root: Path, model: str = "v1_a", tag: str = "len400_hop050_th50") -> PredictionCfg:
    return read_cfg(root / "BENCHMARK/cfg" / model / tag / "predict.cfg", PredictionCfg)


def put_model(root: Path, name: str, file: str = "ANIMAL-SPOT.pk") -> Path:
    path = root / "TRAINING/runs/models" / name / "models" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"weights")
    return path


def test_every_model_and_variant_gets_both_cfgs(tmp_path: Path) -> None:
    root = trained(tmp_path / HOSTILE)
    plan(root).write()
    run = "BENCHMARK/runs/v1_a/len400_hop050_th90"
    assert prediction_cfg(root, tag="len400_hop050_th90") == PredictionCfg(
        model_path="TRAINING/runs/models/v1_a/models/ANIMAL-SPOT.pk",
        output_dir="BENCHMARK/scores/v1_a/len400_hop050",
        log_dir=f"{run}/prediction",
        input_file="data/bench/labelled_recordings",
        sequence_len=0.4,
        hop=0.05,
        threshold=0.9,
        min_max_norm=True,
        score_tail=True,
    )
    assert read_cfg(root / "BENCHMARK/cfg/v1_a/len400_hop050_th90/eval.cfg", EvaluationCfg) == EvaluationCfg(
        prediction_dir=f"{run}/prediction",
        output_dir=f"{run}/evaluation/annotations",
        scores_dir="BENCHMARK/scores/v1_a/len400_hop050",
        threshold=0.9,
        decoder="union",
    )


def test_commands_that_go_on_from_here_can_be_pasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = trained(tmp_path / HOSTILE)
    (root / "data/bench/corpus_index.json").unlink()
    variants = str(write_json(tmp_path / "benchmark_variants.json", [V50]))
    options: dict[str, Any] = {"corpus_root": str(root / "data/bench"), "variants_json": variants, "set_name": "field"}
    for folder, place in ((tmp_path, ["--workspace", str(root)]), (root, [])):
        monkeypatch.chdir(folder)
        planned = plan_benchmark(open_context(root, "local-test"), **options)
        assert [shlex.split(step) for step in planned.next_steps] == [
            ["hum-slurm", "run", "predict", "--executor", "local", "--set", "field", *place],
            ["hum-slurm", "submit", "predict", "--set", "field", *place],
            ["hum-slurm", "evaluation", "--set", "field", *place, "--site", "local-test"],
        ]
    (warning,) = [line for line in planned.warnings if "index-corpus" in line]
    assert shlex.join(["hum-trainer", "index-corpus", str(root / "data/bench")]) in warning


def test_variants_that_differ_only_in_threshold_are_scored_once(tmp_path: Path) -> None:
    root = trained(tmp_path / "w")
    plan(root).write()
    assert [row["outputs"] for row in predict_rows(root)] == [
        ["BENCHMARK/scores/v1_a/len400_hop050"],
        ["BENCHMARK/scores/v1_a/len400_hop010"],
    ]


def test_every_model_has_an_array_of_its_own_rows_and_one_launcher_submits_all(tmp_path: Path) -> None:
    root = trained(tmp_path / "w")
    put_model(root, "it's $old")
    plan(root, max_concurrent=7).write()
    jobs = root / "BENCHMARK/jobs"
    assert [row["task"] for row in predict_rows(root)] == [
        "it's $old__len400_hop050",
        "it's $old__len400_hop010",
        "v1_a__len400_hop050",
        "v1_a__len400_hop010",
    ]
    second = (jobs / "pred_v1_a.batch").read_text()
    assert "#SBATCH --array=0-1%7\n" in second
    assert "first_row=2\n" in second
    assert (jobs / "pred_models.batch").read_text().count("\nsbatch ") == 2


def test_fifteen_tasks_of_a_model_run_at_a_time_unless_told_otherwise(tmp_path: Path) -> None:
    root = trained(tmp_path / "w")
    plan(root).write()
    assert "%15\n" in (root / "BENCHMARK/jobs/pred_v1_a.batch").read_text()


@pytest.mark.parametrize("window", ["sequence_len=400\n", ""])
def test_a_normalisation_is_predicted_with_as_it_is_trained(tmp_path: Path, window: str) -> None:
    root = make_workspace(tmp_path / "w")
    put_model(root, "m")
    cfg = root / "TRAINING/cfg/m/alpaca_server.cfg"
    cfg.parent.mkdir(parents=True)
    cfg.write_text(
        f"recipe=windows\ncorpus_index=c.json\nmodel_dir=m\ncheckpoint_dir=c\nnormalisation=min_max\n{window}"
    )
    plan(root, [V50]).write()
    assert prediction_cfg(root, "m").min_max_norm


def test_windows_predict_on_their_own_corpus_too_since_training_scores_but_a_part_of_it(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "w")
    put_model(root, "m")
    cfg = root / "TRAINING/cfg/m/alpaca_server.cfg"
    cfg.parent.mkdir(parents=True)
    cfg.write_text(
        "recipe=windows\ncorpus_index=data/bench/corpus_index.json\nmodel_dir=m\ncheckpoint_dir=c\nsequence_len=400\n"
    )
    plan(root, [V50]).write()
    (row,) = read_rows(root / "BENCHMARK/jobs/predict.manifest.jsonl")
    assert row["outputs"] == ["BENCHMARK/scores/m/len400_hop050"]


def test_a_foreign_model_is_taken_with_what_its_card_says(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "w")
    card = put_model(root, "foreign").with_name("model.json")
    write_json(card, {"data_opts": {"sequence_len_ms": 400, "min_max_norm": True}})
    planned = plan(root)
    planned.write()
    assert (prediction_cfg(root, "foreign").min_max_norm, planned.warnings) == (True, [])


def test_a_foreign_model_without_a_card_is_taken_with_a_warning(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "w")
    put_model(root, "foreign", "other.pk")
    planned = plan(root)
    planned.write()
    cfg = prediction_cfg(root, "foreign")
    assert (cfg.model_path, cfg.min_max_norm) == ("TRAINING/runs/models/foreign/models/other.pk", False)
    assert "neither a training cfg nor a model card" in planned.warnings[0]


def test_a_torchscript_file_is_recognised_by_its_content(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "w")
    with zipfile.ZipFile(put_model(root, "traced"), "w") as archive:
        archive.writestr("traced/constants.pkl", b"")
    plan(root).write()
    assert prediction_cfg(root, "traced").jit_load


def test_two_models_in_one_folder_are_refused(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "w")
    put_model(root, "m", "a.pk")
    put_model(root, "m", "b.pt")
    with pytest.raises(InputError, match=r"exactly one \*\.pk or \*\.pt; found: a\.pk, b\.pt"):
        plan(root)


def test_no_model_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no model, and no training manifest that promises one"):
        plan(make_workspace(tmp_path / "w"))


def test_a_variant_with_another_window_than_the_model_is_left_out_and_named(tmp_path: Path) -> None:
    root = trained(tmp_path / "w")
    planned = plan(root, [V50, {**V50, "seq_len": 0.6}])
    planned.write()
    assert len(predict_rows(root)) == 1
    assert "len600_hop050_th50 is left out for model v1_a, which was trained with 400 ms" in planned.warnings[0]


def test_a_model_that_fits_no_variant_is_an_error(tmp_path: Path) -> None:
    root = trained(tmp_path / "w")
    with pytest.raises(InputError, match=r"no variant has the window of model v1_a, 400 ms; .* seq_len 0\.4"):
        plan(root, [{**V50, "seq_len": 0.6}])


def test_a_setting_without_effect_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    root = trained(tmp_path / "w")
    with pytest.raises(CfgError, match=r"len400_hop050_th50: min_gap_s: decoder union knows threshold alone"):
        plan(root, [{**V50, "min_gap_s": 0.1}])


def test_two_variants_with_one_tag_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="share the tag len400_hop050_th50"):
        plan(trained(tmp_path / "w"), [V50, V50])


def test_a_misspelt_decoder_setting_gets_the_nearest_key(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"len400_hop050_th50: noise_in_ano: .*did you mean 'noise_in_anno'"):
        plan(trained(tmp_path / "w"), [{**V50, "noise_in_ano": True}])


def test_a_set_has_its_own_tree_and_its_own_task_names(tmp_path: Path) -> None:
    root = trained(tmp_path / "w")
    plan(root, set_name="field").write()
    assert not (root / "BENCHMARK/jobs").exists()
    row = predict_rows(root, "BENCHMARK/sets/field")[0]
    assert row["outputs"] == ["BENCHMARK/sets/field/scores/v1_a/len400_hop050"]
    assert row["command"][-1] == "progress/predict/set-field__v1_a__len400_hop050.json"


def test_a_model_whose_script_would_be_the_launcher_is_refused(tmp_path: Path) -> None:
    root = trained(tmp_path / "w")
    put_model(root, "models")
    with pytest.raises(InputError, match=r"pred_models\.batch: would be .*'models', another name"):
        plan(root)


def test_scores_of_recordings_that_are_no_longer_scored_are_named(tmp_path: Path) -> None:
    root = trained(tmp_path / "w")
    clips = root / "data/bench/labelled_recordings"
    (clips / "a b.wav_0_15.wav").touch()
    scores = root / "BENCHMARK/scores/v1_a/len400_hop050"
    scores.mkdir(parents=True)
    (scores / "a b.wav_0_15_predict_output.parquet").touch()
    assert not any("score tracks" in line for line in plan(root).warnings)
    other = scores / "a b.wav_0_30_predict_output.parquet"
    other.touch()
    (warning,) = [line for line in plan(root).warnings if "score tracks" in line]
    assert warning.startswith("1 score tracks are of recordings that")
    assert shlex.quote(str(other)) in warning


@pytest.mark.parametrize("name", ["../x", "", ".hidden", "a/b", "a b"])
def test_a_set_whose_name_is_no_folder_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="letters, digits"):
        plan(trained(tmp_path / "w"), set_name=name)


def test_shards_are_rows_of_one_track(tmp_path: Path) -> None:
    root = trained(tmp_path / "w")
    plan(root, [V50], shards=2).write()
    rows = predict_rows(root)
    assert [row["command"][3:5] for row in rows] == [["--shard", "1/2"], ["--shard", "2/2"]]
    assert rows[0]["outputs"] == rows[1]["outputs"]


def test_the_recordings_may_be_a_glob(tmp_path: Path) -> None:
    root = trained(tmp_path / "w")
    (root / "data/field [x]").mkdir()
    (root / "data/field [x]/a.wav").touch()
    plan(root, predict_in=str(root / "data/field [x]/*.wav")).write()
    assert prediction_cfg(root).input_file == "data/field [x]/*.wav"
    forest = read_rows(root / "BENCHMARK/jobs/rf-train.manifest.jsonl")[0]
    assert forest["inputs"][-1] == "data/field [x]"


def test_recordings_without_labels_need_no_corpus(tmp_path: Path) -> None:
    root = trained(tmp_path / "w")
    field = root / "data/it's the field"
    field.mkdir()
    with pytest.raises(InputError, match=r"found no .* files in it\. Correct --predict-in, or add --recursive\."):
        plan(root, corpus_root=None, predict_in=str(field), set_name="field")
    (field / "a.wav").touch()
    (root / "workspace.toml").write_text('benchmark_corpus = "data/bench"\n')  # what is labelled there is not scored
    planned = plan(root, corpus_root=None, predict_in=str(field), set_name="field")
    planned.write()
    jobs = root / "BENCHMARK/sets/field/jobs"
    assert read_rows(jobs / "predict.manifest.jsonl")[0]["inputs"][-1] == "data/it's the field"
    assert sorted(path.name for path in jobs.glob("*.jsonl")) == ["predict.manifest.jsonl"]
    assert planned.warnings == []
    plan(root, predict_in=str(field), set_name="field").write()
    assert (jobs / "compare.manifest.jsonl").is_file()
    again = plan(root, corpus_root=None, predict_in=str(field), set_name="field")
    left = [shlex.split(line.rpartition("Remove it: ")[2]) for line in again.warnings]
    for command in left:
        assert command[:2] == ["rm", "--"]
        for path in command[2:]:
            Path(path).unlink()
    assert sorted(path.name for path in jobs.glob("*.jsonl")) == ["predict.manifest.jsonl"]
    assert plan(root, corpus_root=None, predict_in=str(field), set_name="field").warnings == []


def test_a_set_of_other_recordings_is_not_written_over_without_its_arguments(tmp_path: Path) -> None:
    root = trained(tmp_path / "w")
    (root / "data/field").mkdir()
    (root / "data/field/a.wav").touch()
    (root / "workspace.toml").write_text('benchmark_corpus = "data/bench"\n')
    field: dict[str, Any] = {"corpus_root": None, "set_name": "field"}
    plan(root, **field, predict_in=str(root / "data/field"), only_variants=["len400_hop050_th50"]).write()
    with pytest.raises(InputError, match=r"sets/field: this set is of data/field, not of .*data/bench/labelled"):
        plan(root, **field)
    for stage in ("tune", "compare", "rf-train"):
        with pytest.raises(InputError, match=f"{stage}: nothing to do here, hum-slurm benchmark --set field found no"):
            submit_stages(root, [stage], "field", chain=False, dry_run=True, say=print)
    cfgs = list((root / "BENCHMARK/sets/field/cfg").glob("*/*/predict.cfg"))
    assert [read_cfg(path, PredictionCfg).input_file for path in cfgs] == ["data/field"]
    plan(root, **{**field, "corpus_root": str(root / "data/bench")}).write()  # asked for by name
    plan(root, **field).write()


def test_recordings_of_which_the_corpus_says_nothing_are_scored_and_not_compared(tmp_path: Path) -> None:
    root = trained(tmp_path / "w")
    for name in ("field/a b.wav", "field/0 b.wav_10_5.wav", "clips/ü 1.wav_10_20.wav", "clips/0 b.wav_10_5.wav"):
        (root / "data" / name).parent.mkdir(exist_ok=True)
        (root / "data" / name).touch()
    times_s = {"dur_s": 1, "clip_start_s": 2, "clip_end_s": 3, "raw_start_s": 2, "raw_end_s": 3}
    hum = {"uid": 1, "clip_path": "labelled_recordings/ü 1.wav_0_10.wav", **times_s}
    write_json(root / "data/bench/corpus_index.json", {"entries": [hum]})
    field = plan(root, predict_in=str(root / "data/field"), set_name="field")
    field.write()
    assert any("no recording there is of a tape in" in line for line in field.warnings)
    assert [path.name for path in (root / "BENCHMARK/sets/field/jobs").glob("*.jsonl")] == ["predict.manifest.jsonl"]
    clips = plan(root, predict_in=str(root / "data/clips"), set_name="clips")  # another stretch of the same tape
    clips.write()
    assert clips.warnings == []
    assert (root / "BENCHMARK/sets/clips/jobs/compare.manifest.jsonl").is_file()


def test_instead_of_the_benchmarks_recordings_others_are_scored_with_a_warning(tmp_path: Path) -> None:
    root = trained(tmp_path / "w")
    (root / "data/a.wav").touch()
    (warning,) = plan(root, corpus_root=None, predict_in=str(root / "data/a.wav")).warnings
    assert "--set NAME keeps both apart" in warning
    with pytest.raises(InputError, match="--recursive looks below the folder --predict-in"):
        plan(root, recursive=True)


def test_recordings_in_sub_folders_are_found_when_asked_for(tmp_path: Path) -> None:
    root = trained(tmp_path / "w")
    for name in ("card 1/a.wav", "card 2/b.wav"):
        (root / "data/field" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "data/field" / name).touch()
    field = str(root / "data/field")
    plan(root, corpus_root=None, predict_in=field, recursive=True).write()
    assert prediction_cfg(root).recursive
    (root / "data/field/card 2/a.wav").touch()
    with pytest.raises(InputError, match=r"would share the score track .* Rename one, or score their folders apart"):
        plan(root, corpus_root=None, predict_in=field, recursive=True)


def test_models_and_variants_are_chosen_by_name(tmp_path: Path) -> None:
    root = trained(tmp_path / "w")
    put_model(root, "old")
    plan(root, only_models=["v1_a"], only_variants=["len400_hop010_th90", "len400_hop050_th50"]).write()
    runs = (root / "BENCHMARK/cfg").glob("*/*")
    assert sorted(path.relative_to(root / "BENCHMARK/cfg").as_posix() for path in runs) == [
        "v1_a/len400_hop010_th90",
        "v1_a/len400_hop050_th50",
    ]
    assert [row["task"] for row in predict_rows(root)] == ["v1_a__len400_hop050", "v1_a__len400_hop010"]


def test_a_chosen_variant_leaves_models_of_other_windows_out(tmp_path: Path) -> None:
    root = trained(tmp_path / "w")
    longer = {"seq_len": 0.8, "hop": 0.05, "threshold": 0.5}
    with pytest.raises(InputError, match="no model has the window of len800_hop050_th50"):
        plan(root, [V50, longer], only_variants=["len800_hop050_th50"])
    put_model(root, "unknown")
    planned = plan(root, [V50, longer], only_variants=["len800_hop050_th50"])
    assert any(line.startswith("v1_a is left out: trained with 400 ms") for line in planned.warnings)
    planned.write()
    assert [path.name for path in (root / "BENCHMARK/cfg").iterdir()] == ["unknown"]


def test_a_model_or_variant_that_is_not_there_is_refused(tmp_path: Path) -> None:
    root = trained(tmp_path / "w")
    with pytest.raises(InputError, match=r"no model 'v2'; there are v1_a$"):
        plan(root, only_models=["v1_a", "v2"])
    with pytest.raises(InputError, match="no variant 'th50'; there are len400_hop050_th50, len400_hop050_th90, len"):
        plan(root, only_variants=["th50"])


@pytest.mark.parametrize("name", ["nowhere", "labelled_recordings/*.flac"])
def test_recordings_that_are_not_there_are_refused(tmp_path: Path, name: str) -> None:
    root = trained(tmp_path / "w")
    with pytest.raises(InputError, match=r"found no \.wav.* files that match.*\. Correct --predict-in"):
        plan(root, predict_in=str(root / "data/bench" / name))


def test_hidden_folders_and_datasets_are_no_labelled_recordings(tmp_path: Path) -> None:
    for name in (".labelled_recordings_old", "dataset_labelled_recordings", "labelled_recordings v1"):
        (tmp_path / name).mkdir()
    assert labelled_recordings(tmp_path) == tmp_path / "labelled_recordings v1"


def test_a_corpus_with_two_folders_of_labelled_recordings_is_refused(tmp_path: Path) -> None:
    root = trained(tmp_path / "w")
    (root / "data/bench/old_labelled_recordings").mkdir()
    with pytest.raises(InputError, match="labelled_recordings and old_labelled_recordings both contain"):
        plan(root)


def test_no_corpus_is_an_error_that_names_option_and_setting(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--corpus-root DIR, or benchmark_corpus in workspace\.toml"):
        plan(trained(tmp_path / "w"), corpus_root=None)


def test_arguments_come_from_the_workspace_file(tmp_path: Path) -> None:
    root = trained(tmp_path / "w")
    variants = write_json(root / "my variants.json", [V90])
    (root / "workspace.toml").write_text(
        f'benchmark_corpus = "data/bench"\nbenchmark_variants = "{variants.name}"\nrf_model = "forest.pkl"\n'
    )
    plan_benchmark(open_context(root)).write()
    assert [path.name for path in (root / "BENCHMARK/cfg/v1_a").iterdir()] == ["len400_hop050_th90"]
    assert read_rows(root / "BENCHMARK/jobs/rf-train.manifest.jsonl")[0]["outputs"] == ["forest.pkl"]


def test_compare_and_rf_train_are_planned_against_the_corpus_index(tmp_path: Path) -> None:
    root = trained(tmp_path / "w")
    plan(root).write()
    compare = read_rows(root / "BENCHMARK/jobs/compare.manifest.jsonl")[0]["command"]
    assert compare[:-2] == [
        *("hum-evaluator", "compare", "--gt", "data/bench/corpus_index.json", "--runs", "BENCHMARK/runs"),
        *("--out", "BENCHMARK/metrics.csv", "--per-tape-out", "BENCHMARK/metrics_per_tape.csv"),
    ]
    forest = read_rows(root / "BENCHMARK/jobs/rf-train.manifest.jsonl")[0]["command"]
    assert forest[:-2] == [
        *("hum-rf-filter", "train", "--runs", "BENCHMARK/runs", "--gt", "data/bench/corpus_index.json"),
        *("--audio-dir", "data/bench/labelled_recordings", "--scores", "BENCHMARK/scores"),
        *("--out", "TRAINING/rf/forest.skops"),
    ]


def test_what_containers_show_holds_all_that_compare_and_rf_train_read(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "w")
    (root / "TRAINING/cfg/dense").mkdir(parents=True)
    (root / "TRAINING/cfg/dense/alpaca_server.cfg").write_text(
        "recipe=frames\ncorpus_index=data/bench/corpus_index.json\nmodel_dir=m\ncheckpoint_dir=c\n"
    )
    put_model(root, "dense")
    plan(root, [V50]).write()
    (compare,) = read_rows(root / "BENCHMARK/jobs/compare.manifest.jsonl")
    assert {"TRAINING/runs/models", "TRAINING/rf/forest.skops"} <= set(compare["inputs"])
    (forest,) = read_rows(root / "BENCHMARK/jobs/rf-train.manifest.jsonl")
    assert {"BENCHMARK/cfg", "TRAINING/runs/models/dense/out_of_tape"} <= set(forest["inputs"])


def test_runs_of_an_earlier_plan_are_kept_and_named(tmp_path: Path) -> None:
    root = trained(tmp_path / "w")
    plan(root, [V50, V90]).write()
    planned = plan(root, [V50])
    assert [warning for warning in planned.warnings if "len400_hop050_th90: not of these" in warning]


def test_the_shipped_variants_fit_each_other(tmp_path: Path) -> None:
    root = trained(tmp_path / "w")
    plan(root, variants_json=None).write()
    assert len(list((root / "BENCHMARK/cfg/v1_a").iterdir())) == 3
