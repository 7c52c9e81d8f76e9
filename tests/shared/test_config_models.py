from pathlib import Path

import pytest

from hum_shared.config.cfg import CfgModel, format_cfg, read_cfg
from hum_shared.config.evaluation import EvaluationCfg
from hum_shared.config.prediction import PredictionCfg
from hum_shared.config.rf import RfCfg
from hum_shared.config.training import TrainingCfg
from hum_shared.config.workspace import open_workspace, read_settings, workspace_of
from hum_shared.errors import CfgError

MINIMAL: dict[type[CfgModel], str] = {
    TrainingCfg: "data_dir=d\nmodel_dir=m\ncheckpoint_dir=c\n",
    PredictionCfg: "model_path=m.pk\noutput_dir=o\ninput_file=i\nsequence_len=0.4\nhop=0.05\n",
    EvaluationCfg: "prediction_dir=p\noutput_dir=o/evaluation/annotations\n",
    RfCfg: "run_root=r\naudio_dir=a\nrf_model_path=f.skops\n",
}


def _read(folder: Path, model: type[CfgModel], text: str) -> CfgModel:
    path = folder / "x.cfg"
    path.write_text(text)
    return read_cfg(path, model)


@pytest.mark.parametrize("model", MINIMAL)
def test_a_cfg_of_the_needed_keys_alone_is_read_and_round_trips(tmp_path: Path, model: type[CfgModel]) -> None:
    cfg = _read(tmp_path, model, MINIMAL[model])
    assert _read(tmp_path, model, format_cfg(cfg)) == cfg


@pytest.mark.parametrize("model", MINIMAL)
def test_every_key_says_what_it_is(model: type[CfgModel]) -> None:
    assert [key for key, field in model.model_fields.items() if not field.description] == []


@pytest.mark.parametrize(
    ("model", "key", "original"),
    [
        (EvaluationCfg, "decoder", "union"),
        (PredictionCfg, "score_tail", False),
        (PredictionCfg, "min_max_norm", False),
        (PredictionCfg, "precision", "float32"),
        (TrainingCfg, "recipe", "clips"),
        (TrainingCfg, "min_max_norm", False),
        (TrainingCfg, "lr", 1e-5),
        (TrainingCfg, "beta1", 0.5),
        (TrainingCfg, "sr", 48000),
        (RfCfg, "rf_threshold", 0.4),
    ],
)
def test_a_missing_key_means_the_original_behaviour(
    tmp_path: Path, model: type[CfgModel], key: str, original: object
) -> None:
    assert getattr(_read(tmp_path, model, MINIMAL[model]), key) == original


@pytest.mark.parametrize(
    ("model", "lines", "message"),
    [
        (PredictionCfg, "threshold=1.5", "line 6: threshold=1.5: input should be less than or equal to 1"),
        (PredictionCfg, "device=gpu", "line 6: device=gpu: input should be 'auto', 'cpu' or 'cuda'"),
        (TrainingCfg, "fmin=5000", "line 4: fmin 5000 Hz is not below fmax 4000 Hz"),
        (TrainingCfg, "fmax=9000\nsr=16000", "line 4: fmax 9000 Hz is above half the sample rate, 8000 Hz"),
        (TrainingCfg, "hop_length=300\nn_fft=256", "line 4: hop_length 300 is longer than n_fft 256"),
        (TrainingCfg, "conv_kernel_size=4", "line 4: conv_kernel_size 4 is even"),
        (TrainingCfg, "resnet=19", "line 4: resnet=19: input should be 18, 34, 50, 101 or 152"),
        (TrainingCfg, "freq_compresion=mel", r"unknown key 'freq_compresion'; did you mean 'freq_compression'\?"),
        (RfCfg, "hop=4096", "line 4: hop 4096 is longer than n_fft 2048"),
        (RfCfg, "rf_model_sha256=abc", "line 4: rf_model_sha256=abc: string should match pattern"),
        (EvaluationCfg, "decoder=magic", "line 3: decoder=magic: input should be"),
    ],
)
def test_a_broken_rule_is_explained(tmp_path: Path, model: type[CfgModel], lines: str, message: str) -> None:
    with pytest.raises(CfgError, match=message):
        _read(tmp_path, model, MINIMAL[model] + lines + "\n")


def test_a_hop_longer_than_the_window_is_explained_on_its_line(tmp_path: Path) -> None:
    text = MINIMAL[PredictionCfg].replace("hop=0.05", "hop=0.6")
    with pytest.raises(CfgError, match=r"line 5: hop 0.6 s is longer than sequence_len 0.4 s; .* at most 0.4"):
        _read(tmp_path, PredictionCfg, text)


@pytest.mark.parametrize("size", [18, 34, 50, 101, 152])
def test_all_networks_can_be_named(tmp_path: Path, size: int) -> None:
    cfg = _read(tmp_path, TrainingCfg, MINIMAL[TrainingCfg] + f"resnet={size}\n")
    assert isinstance(cfg, TrainingCfg)
    assert cfg.resnet == size


def test_the_workspace_of_a_cfg_is_the_nearest_folder_with_a_settings_file(tmp_path: Path) -> None:
    outer = tmp_path / "Weide $1"
    (outer / "BENCHMARK" / "cfg").mkdir(parents=True)
    (outer / "workspace.toml").write_text('[roots]\ndata = "../shared data"\nscratch = "/scratch/me"\n')
    workspace = workspace_of(outer / "BENCHMARK" / "cfg" / "eval.cfg")
    assert workspace.root == outer
    assert workspace.resolve("{scratch}/x") == Path("/scratch/me/x")
    assert workspace.resolve("{data}/x").resolve() == (tmp_path / "shared data" / "x").resolve()


def test_a_cfg_outside_a_workspace_is_relative_to_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert workspace_of(Path("x.cfg")).resolve("data/a.wav") == tmp_path / "data" / "a.wav"


def test_workspace_settings_have_defaults_and_refuse_what_they_do_not_know(tmp_path: Path) -> None:
    assert read_settings(tmp_path).site == "generic"
    assert open_workspace(tmp_path).data == tmp_path / "data"
    (tmp_path / "workspace.toml").write_text('sites = "vega"\n')
    with pytest.raises(CfgError, match=r"sites.*did you mean 'site'\?"):
        read_settings(tmp_path)
    (tmp_path / "workspace.toml").write_text("site = vega\n")
    with pytest.raises(CfgError, match="not TOML"):
        read_settings(tmp_path)
