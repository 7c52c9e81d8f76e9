import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hum_shared.config.variants import (
    BenchmarkVariant,
    read_benchmark_variants,
    read_dataset_prep,
    read_train_variants,
)
from hum_shared.errors import CfgError, InputError


def _file(folder: Path, value: Any) -> Path:
    path = folder / "variants.json"
    path.write_text(json.dumps(value))
    return path


@pytest.mark.parametrize(
    ("value", "tag"),
    [
        ({"seq_len": 0.4, "hop": 0.05, "threshold": 0.9}, "len400_hop050_th90"),
        ({"seq_len": 0.05, "hop": 0.005, "threshold": 0.5}, "len050_hop005_th50"),
        ({"seq_len": 1.28, "hop": 1.28, "threshold": 1}, "len1280_hop1280_th100"),
        ({"seq_len": 0.4, "hop": 0.05, "threshold": 0.05}, "len400_hop050_th05"),
        ({"seq_len": 0.4, "hop": 0.05, "threshold": 0.9, "decoder": "hmm"}, "len400_hop050_th90_hmm"),
        ({"seq_len": 0.4, "hop": 0.05, "threshold": 0.9, "decoder": "hmm", "name": "b"}, "len400_hop050_th90_hmm-b"),
    ],
)
def test_tags(tmp_path: Path, value: dict[str, Any], tag: str) -> None:
    assert [variant.tag for variant in read_benchmark_variants(_file(tmp_path, [value]))] == [tag]


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(0, 100))
def test_values_of_whole_ms_and_percent_are_told_by_the_tag(length_ms: int, hop_ms: int, percent: int) -> None:
    hop_ms = min(hop_ms, length_ms)
    variant = BenchmarkVariant(seq_len=length_ms / 1000, hop=hop_ms / 1000, threshold=percent / 100)
    assert variant.tag == f"len{length_ms:03d}_hop{hop_ms:03d}_th{percent:02d}"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "no variants"),
        ([{"seq_len": 0.4, "hop": 0.05}], "0.threshold: Field required"),
        ([{"seq_len": 0.4, "hop": 0.5, "threshold": 0.9}], "hop 0.5 s is longer than seq_len 0.4 s"),
        ([{"seq_len": 0.4, "hop": 0.05, "threshold": 0.905}], "threshold 0.905 is finer than the tag .* can tell"),
        ([{"seq_len": 0.4004, "hop": 0.05, "threshold": 0.9}], "seq_len 0.4004 is finer"),
        ([{"seq_len": float("inf"), "hop": 0.05, "threshold": 0.9}], "finite number"),
        ([{"seq_len": 0.4, "hop": 0.05, "threshold": 0.9}] * 2, "variants 0 and 1 share the tag len400_hop050_th90"),
        ({"seq_len": 0.4}, "top level"),
    ],
)
def test_benchmark_variants_that_cannot_be(tmp_path: Path, value: Any, message: str) -> None:
    with pytest.raises(CfgError, match=message):
        read_benchmark_variants(_file(tmp_path, value))


def test_decoder_settings_are_what_is_left(tmp_path: Path) -> None:
    value = {"seq_len": 0.4, "hop": 0.05, "threshold": 0.9, "decoder": "hysteresis", "low": 0.3}
    assert read_benchmark_variants(_file(tmp_path, [value]))[0].decoder_settings == {"low": 0.3}


def test_train_variants_carry_cfg_keys(tmp_path: Path) -> None:
    read = read_train_variants(
        _file(
            tmp_path,
            {
                "globals": {"src_dir": "x", "sequence_len": 400, "slurm": {"gpus": 1}},
                "variants": {"v1": {"dataset": "dataset_random", "resnet": 34}},
                "active_variants": ["v1"],
            },
        )
    )
    assert read.globals.overrides == {"sequence_len": 400}
    assert read.variants["v1"].overrides == {"resnet": 34}


def test_an_active_variant_must_be_defined(tmp_path: Path) -> None:
    value = {"variants": {"v1": {"dataset": "d"}}, "active_variants": ["v2"]}
    with pytest.raises(CfgError, match="active_variants names v2; defined: v1"):
        read_train_variants(_file(tmp_path, value))


def test_an_empty_training_file_is_all_defaults(tmp_path: Path) -> None:
    assert read_train_variants(_file(tmp_path, {})).variants == {}


def test_dataset_strategies(tmp_path: Path) -> None:
    strategy = {"split_strategy": "random", "seed": 42, "noise_per_hum": 2, "noise_mining": {"margin_s": 0.2}}
    read = read_dataset_prep(_file(tmp_path, {"active_strategies": ["a"], "strategies": {"a": strategy}}))
    assert read.strategies["a"].noise_mining.margin_s == 0.2
    assert read.strategies["a"].noise_mining.fallback_raw
    with pytest.raises(CfgError, match="active_strategies names b; defined: a"):
        read_dataset_prep(_file(tmp_path, {"active_strategies": ["b"], "strategies": {"a": strategy}}))
    with pytest.raises(CfgError, match=r"split_strategy.*'fair'"):
        read_dataset_prep(
            _file(tmp_path, {"active_strategies": [], "strategies": {"a": {**strategy, "split_strategy": "fair"}}})
        )


def test_what_is_not_json_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('[{"hop": 1},\n oops]')
    with pytest.raises(InputError, match=r"x\.json line 2 column 2: not JSON"):
        read_benchmark_variants(tmp_path / "x.json")


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        ({"split_strategy": "random", "seeed": 1}, r"strategies\.a b\.seeed: .*; did you mean 'seed'\?"),
        (
            {"split_strategy": "random", "seed": 1, "noise_mining": {"margin": 1}},
            r"strategies\.a b\.noise_mining\.margin: .*; did you mean 'margin_s'\?",
        ),
    ],
)
def test_a_misspelt_key_is_named_before_the_one_that_it_leaves_out(
    tmp_path: Path, strategy: dict[str, Any], message: str
) -> None:
    with pytest.raises(CfgError, match=message):
        read_dataset_prep(_file(tmp_path, {"active_strategies": ["a b"], "strategies": {"a b": strategy}}))


def test_a_misspelt_key_of_a_benchmark_variant_is_named(tmp_path):
    path = tmp_path / "v.json"
    path.write_text('[{"seq_len": 0.4, "hop": 0.05, "treshold": 0.5}]', encoding="utf-8")
    with pytest.raises(CfgError, match=r"unknown key 'treshold'; did you mean 'threshold'\?"):
        read_benchmark_variants(path)
    path.write_text('[{"hop": 0.05, "threshold": 0.5, "decoder": "peak"}]', encoding="utf-8")
    with pytest.raises(CfgError, match=r"seq_len: Field required"):
        read_benchmark_variants(path)
