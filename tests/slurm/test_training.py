from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hum_shared.config.cfg import read_cfg
from hum_shared.config.training import TrainingCfg
from hum_shared.config.workspace import WorkspaceSettings, read_settings
from hum_shared.errors import CfgError, InputError
from hum_slurm.context import open_context
from hum_slurm.doctor import examine
from hum_slurm.factories.training import plan_training
from hum_slurm.plan import Plan
from support.slurm_workspace import HOSTILE, make_workspace, read_rows, write_json


def plan(root: Path, variants: Any = None, site: str | None = None) -> Plan:
    path = None if variants is None else str(write_json(root.parent / "variants.json", variants))
    return plan_training(open_context(root, site), data_root=str(root / "data" / "train"), variants_json=path)


def cfg_of(root: Path, variant: str) -> TrainingCfg:
    return read_cfg(root / "TRAINING" / "cfg" / variant / "alpaca_server.cfg", TrainingCfg)


def test_without_names_every_dataset_is_a_numbered_variant_in_lexicographic_order(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / HOSTILE, "dataset_random", "dataset_by_tape", "dataset_Ü x", "other")
    plan(root).write()
    rows = read_rows(root / "TRAINING/jobs/train.manifest.jsonl")
    assert [row["task"] for row in rows] == ["v1_by_tape", "v2_random", "v3_Ü x"]
    cfg = cfg_of(root, "v2_random")
    assert cfg.data_dir == "data/train/dataset_random"
    assert cfg.model_dir == "TRAINING/runs/models/v2_random/models"
    assert (cfg.checkpoint_dir, cfg.log_dir, cfg.summary_dir) == tuple(
        f"TRAINING/runs/models/v2_random/{name}" for name in ("checkpoints", "logs", "summaries")
    )
    assert (cfg.noise_dir, cfg.cache_dir, cfg.min_max_norm, cfg.augmentation) == (None, None, True, True)


def test_a_row_names_its_command_inputs_and_outputs_relative_to_the_workspace(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / HOSTILE, "dataset_a")
    plan(root).write()
    cfg = "TRAINING/cfg/v1_a/alpaca_server.cfg"
    assert read_rows(root / "TRAINING/jobs/train.manifest.jsonl") == [
        {
            "index": 0,
            "stage": "train",
            "task": "v1_a",
            "command": ["hum-trainer", "run", cfg, "--progress-file", "progress/train/v1_a.json"],
            "inputs": [cfg, "data/train/dataset_a"],
            "outputs": ["TRAINING/runs/models/v1_a/models/ANIMAL-SPOT.pk"],
            "state": [f"TRAINING/runs/models/v1_a/{part}" for part in ("checkpoints", "logs", "summaries")],
        }
    ]
    assert (root / "TRAINING/jobs/train_models.sbatch").is_file()
    assert (root / "TRAINING/jobs/job_logs").is_dir()


def test_named_variants_override_globals_and_may_name_a_dataset_that_is_still_to_come(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "w")
    variants = {
        "globals": {"resnet": 34, "lr": 0.001, "src_dir": "/old"},
        "variants": {"deep": {"dataset": "dataset_a", "resnet": 50, "noise_dir": "data/noise"}},
    }
    planned = plan(root, variants)
    planned.write()
    cfg = cfg_of(root, "deep")
    assert (cfg.resnet, cfg.lr, cfg.noise_dir) == (50, 0.001, "data/noise")
    assert "dataset_a: no such folder yet" in planned.warnings[0]


@pytest.mark.parametrize("dataset", ["dataset_a", "a"])
def test_a_dataset_may_be_named_by_its_strategy(tmp_path: Path, dataset: str) -> None:
    root = make_workspace(tmp_path / "w", "dataset_a")
    planned = plan(root, {"variants": {"one": {"dataset": dataset}}})
    planned.write()
    assert (cfg_of(root, "one").data_dir, planned.warnings) == ("data/train/dataset_a", [])


def test_a_dataset_that_is_still_to_come_is_named_as_prepare_will_name_it(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "w")
    planned = plan(root, {"variants": {"one": {"dataset": "a"}}})
    planned.write()
    assert cfg_of(root, "one").data_dir == "data/train/dataset_a"
    assert "dataset_a: no such folder yet" in planned.warnings[0]


def test_a_folder_of_clips_by_another_name_is_taken_as_it_is(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "w", "dataset_a", "a")
    (root / "data/train/a/train.csv").touch()
    planned = plan(root, {"variants": {"one": {"dataset": "a"}}})
    planned.write()
    assert cfg_of(root, "one").data_dir == "data/train/a"


def test_only_active_variants_are_written_under_the_names_all_of_them_have(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "w", "dataset_a", "dataset_b")
    plan(root, {"active_variants": ["v2_b"]}).write()
    assert [path.name for path in (root / "TRAINING/cfg").iterdir()] == ["v2_b"]


def test_no_dataset_and_no_names_is_an_error(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "w")
    with pytest.raises(InputError, match=r"no dataset_\* folder, and the variant file names no variants"):
        plan(root)
    assert not (root / "workspace.toml").exists()


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        ({"globals": {"n_fftt": 1}}, "globals: unknown key 'n_fftt'; did you mean 'n_fft'"),
        (
            {"variants": {"v": {"dataset": "d", "sequencelen": 1}}},
            "variants.v: unknown key 'sequencelen'; did you mean",
        ),
        ({"variants": {"v": {"dataset": "d", "fmax": 1e6}}}, "variant v: .*fmax 1e.06 Hz is above half"),
        ({"globals": {"resnet": 19}}, "resnet"),
        ({"globals": {"data_dir": "x"}}, "globals.data_dir: is set by hum-slurm training itself"),
        ({"globals": {"slurm": {"gpu": 1}}}, "globals.slurm: gpu: .*did you mean 'gpus'"),
        ({"active_variants": ["v9_z"]}, "active_variants names v9_z; there are v1_a"),
        ({"active_variants": []}, "active_variants is empty"),
        ({"variants": {"a/b": {"dataset": "d"}}}, "variants.a/b: a variant's name is a folder's name"),
        ({"globals": {"noise_dir": "{nowhere}/x"}}, "no root named 'nowhere'"),
    ],
)
def test_a_broken_rule_is_named_before_anything_is_written(tmp_path: Path, variants: Any, message: str) -> None:
    root = make_workspace(tmp_path / "w", "dataset_a")
    with pytest.raises(InputError, match=message):
        plan(root, variants)
    assert not (root / "TRAINING").exists()


def test_a_second_run_changes_no_file(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "w", "dataset_a")
    assert len(plan(root).write()) == 4
    assert plan(root).write() == []


def test_the_workspace_file_is_made_once_with_site_and_roots(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "w", "dataset_a")
    site = tmp_path / "mine.toml"
    site.write_text('runtime = "venv"\n[roots]\nbig = "/big disk"\n')
    plan(root, site=str(site)).write()
    assert read_settings(root) == WorkspaceSettings(site=str(site), roots={"big": "/big disk"})
    plan(root, site="generic").write()
    assert read_settings(root).site == str(site)


def test_data_below_a_root_is_named_by_it_and_else_warned_about(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "w")
    elsewhere = make_workspace(tmp_path / "big", "dataset_a") / "data" / "train"
    (root / "workspace.toml").write_text("")
    outside = plan_training(open_context(root), data_root=str(elsewhere))
    assert "lies outside the workspace and its roots" in outside.warnings[0]
    (root / "workspace.toml").write_text(f'[roots]\nbig = "{tmp_path}/big"\n')
    named = plan_training(open_context(root), data_root="{big}/data/train")
    named.write()
    assert (named.warnings, cfg_of(root, "v1_a").data_dir) == ([], "{big}/data/train/dataset_a")


def test_runs_root_moves_the_models(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "w", "dataset_a")
    plan(root, {"globals": {"runs_root": "other runs"}}).write()
    assert cfg_of(root, "v1_a").model_dir == "other runs/models/v1_a/models"


def test_the_site_wins_over_the_slurm_wishes_and_the_difference_is_warned_about(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "w", "dataset_a")
    site = tmp_path / "s.toml"
    site.write_text('runtime = "venv"\n[stages.train]\npartition = "kisski"\naccount = "<account>"\n')
    wishes = {
        "partition": "gpu",
        "account": "me",
        "gpus": "A100:1",
        "time": "1:00:00",
        "max_concurrency": 3,
        "nodes": 1,
    }
    planned = plan(root, {"globals": {"slurm": wishes}}, site=str(site))
    planned.write()
    text = (root / "TRAINING/jobs/train_models.sbatch").read_text()
    for option in ("--partition=kisski", "--account=me", "-G A100:1", "--time=1:00:00", "--array=0-0%3"):
        assert f"#SBATCH {option}\n" in text
    assert [warning for warning in planned.warnings if "globals.slurm wants partition gpu" in warning]


def test_a_site_left_to_be_filled_in_is_an_error(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "w", "dataset_a")
    (root / "workspace.toml").write_text('site = "gwdg"\n[roots]\nimages = "/img"\n')
    with pytest.raises(CfgError, match="account of stage train is <account>"):
        plan(root)


def workspace_at_site(root: Path, settings: str, site: str) -> Path:
    """A workspace whose `workspace.toml` names the site file `here.toml` in it."""
    make_workspace(root, "dataset_a")
    (root / "workspace.toml").write_text(settings)
    (root / "here.toml").write_text(f'runtime = "venv"\n{site}')
    return root


def test_roots_of_a_site_are_added_to_a_workspace_that_lacks_them(tmp_path: Path) -> None:
    settings = '# mine\nsite = "here.toml"\n\n[roots]  # disks\nbig = "/big"\n'
    site = 'images = "{images}/v1"\n[roots]\nimages = "/img"\nbig = "/other"\n'
    root = workspace_at_site(tmp_path / "w", settings, site)
    file = root / "workspace.toml"
    planned = plan(root)
    planned.write()
    assert file.read_text() == '# mine\nsite = "here.toml"\n\n[roots]  # disks\nimages = "/img"\nbig = "/big"\n'
    assert planned.warnings == ["workspace.toml: added what site here.toml has under [roots]: images"]
    assert plan(root).warnings == []
    file.write_bytes(b'site = "here.toml"\r\n')
    plan(root).write()
    assert file.read_bytes() == b'site = "here.toml"\r\n\r\n[roots]\r\nimages = "/img"\r\nbig = "/other"\r\n'


def test_a_root_of_a_site_that_is_left_to_be_filled_in_is_named(tmp_path: Path) -> None:
    root = workspace_at_site(tmp_path / "w", 'site = "here.toml"\n', '[roots]\nimages = "<storage>/img"\n')
    with pytest.raises(CfgError, match=r"not filled in: roots.images is <storage>"):
        plan(root)
    (finding, *_) = examine(open_context(root), test_job=False)
    assert (finding.state, "roots.images is <storage>" in finding.text) == ("problem", True)


def test_roots_that_nothing_can_be_added_to_are_an_error_that_says_what_to_add(tmp_path: Path) -> None:
    settings = 'site = "here.toml"\nroots = { big = "/big" }\n'
    root = workspace_at_site(tmp_path / "w", settings, '[roots]\nimages = "/img"\n')
    with pytest.raises(CfgError, match=r'workspace.toml: add under \[roots\]: images = "/img"'):
        plan(root)


def make_corpus_folder(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "corpus_index.json").write_text('{"entries": []}')


@pytest.mark.parametrize("place", ["data/train", "data", "."])
def test_a_variant_that_names_a_corpus_learns_frames_from_its_index(tmp_path: Path, place: str) -> None:
    root = make_workspace(tmp_path / HOSTILE)
    corpus = root / place / "alpacas ü.v1"
    make_corpus_folder(corpus)
    planned = plan(root, {"variants": {"dense": {"corpus": "alpacas ü.v1", "max_train_epochs": 7}}})
    planned.write()
    cfg = cfg_of(root, "dense")
    where = corpus.relative_to(root).as_posix()
    assert planned.warnings == []
    assert (cfg.recipe, cfg.corpus_index, cfg.data_dir) == ("frames", f"{where}/corpus_index.json", None)
    assert (cfg.normalisation_used, cfg.augmentation, cfg.max_train_epochs) == ("background", True, 7)
    assert read_rows(root / "TRAINING/jobs/train.manifest.jsonl")[0]["inputs"][1:] == [where]


def test_what_a_corpus_variant_does_not_say_is_left_to_the_calls(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "w")
    variants = {
        "globals": {"n_fft": 256},
        "variants": {"w": {"corpus": "c", "recipe": "windows", "min_max_norm": True, "sequence_len": 80}},
    }
    planned = plan(root, variants)
    planned.write()
    cfg = cfg_of(root, "w")
    assert cfg.left_to_data == {"sr", "hop_length", "n_freq_bins", "fmin", "fmax", "score_hop"}
    assert (cfg.recipe, cfg.normalisation_used, cfg.sequence_len, cfg.n_fft) == ("windows", "min_max", 80, 256)
    assert "corpus_index.json: no such file yet; hum-trainer index-corpus writes it" in planned.warnings[0]


def test_a_dataset_variant_still_writes_every_setting(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "w", "dataset_a")
    plan(root, {"variants": {"v": {"dataset": "dataset_a"}}}).write()
    text = (root / "TRAINING/cfg/v/alpaca_server.cfg").read_text()
    assert {"recipe=clips", "sr=48000", "n_fft=2048", "sequence_len=400"} <= set(text.splitlines())


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        ({}, "name either a dataset .* or a corpus"),
        ({"dataset": "d", "corpus": "c"}, "name either a dataset .* or a corpus"),
        ({"dataset": "d", "recipe": "windows", "corpus_index": "c"}, "v.corpus_index: is set by hum-slurm"),
        ({"corpus": "c", "recipe": "clips"}, "variant v: recipe clips does not learn from a corpus"),
        ({"dataset": "d", "recipe": "frames"}, "variant v: recipe frames does not learn from a dataset"),
        ({"corpus": "c", "architecture": "resnet"}, "architecture resnet does not go with recipe frames"),
    ],
)
def test_a_variant_learns_from_a_dataset_or_a_corpus(tmp_path: Path, variant: Any, message: str) -> None:
    root = make_workspace(tmp_path / "w", "dataset_a")
    with pytest.raises(CfgError, match=message):
        plan(root, {"variants": {"v": variant}})
