"""A workspace small enough to train, score, decode, filter and compare in a minute: tones in noise."""

from __future__ import annotations

import json
from pathlib import Path

from support.corpora import make_corpus

MODELS = ("a", "b")
VARIANTS = ("len400_hop100_th50", "len400_hop100_th90")
CHAIN = ("train", "predict", "evaluate", "rf-train", "rf", "compare")

_TRAINING = {
    "sequence_len": 400, "sr": 8000, "n_fft": 256, "hop_length": 128, "n_freq_bins": 32, "fmin": 50, "fmax": 2000,
    "max_pool": 2, "min_max_norm": True, "augmentation": False, "batch_size": 4, "lr": 5e-4, "max_train_epochs": 8,
    "epochs_per_eval": 1, "resnet": 18,
}  # fmt: skip
_SETTINGS = {
    "dataset_prep.json": {
        "active_strategies": ["random"],
        "strategies": {"random": {"split_strategy": "random", "seed": 1, "noise_per_hum": 1}},
    },
    "train_variants.json": {
        "globals": _TRAINING,
        "variants": {name: {"dataset": "dataset_random", "seed": seed} for seed, name in enumerate(MODELS)},
    },
    "benchmark_variants.json": [
        {"seq_len": 0.4, "hop": 0.1, "threshold": 0.5},
        {"seq_len": 0.4, "hop": 0.1, "threshold": 0.9},
    ],
}


def make_tiny_workspace(root: Path, *, site: str = "local-test") -> Path:
    """Write two corpora, the variant files and `workspace.toml`; index and datasets are still to be made."""
    make_corpus(root / "data" / "training_corpus", raw=False, seed=1)
    make_corpus(
        root / "data" / "benchmark_corpus", raw=False, tapes=("500_20210302_cut.wav", "501_20210303_cut.wav"), seed=2
    )
    for name, value in _SETTINGS.items():
        (root / name).write_text(json.dumps(value, indent=2))
    (root / "workspace.toml").write_text(
        f'site = "{site}"\n'
        'training_corpus = "data/training_corpus"\n'
        'benchmark_corpus = "data/benchmark_corpus"\n'
        'train_variants = "train_variants.json"\n'
        'benchmark_variants = "benchmark_variants.json"\n'
    )
    return root


PREPARE = (
    ("hum-trainer", "index-corpus", "data/training_corpus"),
    ("hum-trainer", "index-corpus", "data/benchmark_corpus"),
    ("hum-trainer", "prepare", "data/training_corpus", "--config", "dataset_prep.json"),
)
