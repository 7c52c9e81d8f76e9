from pathlib import Path

import pytest

from hum_shared.config.variants import DatasetPrepConfig, read_dataset_prep
from hum_shared.errors import CfgError
from hum_trainer.strategies import DEFAULT_CONFIG, DEFAULT_STRATEGIES, choose

SHIPPED = Path(__file__).parents[2] / "slurm" / "variants" / "dataset_prep_configs.json"


@pytest.mark.skipif(not SHIPPED.exists(), reason="hum-trainer is tested alone, without slurm/variants")
def test_the_shipped_file_holds_the_defaults():
    assert read_dataset_prep(SHIPPED) == DEFAULT_CONFIG


def test_the_defaults_are_the_six_of_the_spec():
    assert {name: (s.seed, s.noise_per_hum) for name, s in DEFAULT_STRATEGIES.items()} == {
        "random": (42, 1),
        "random_more_noise": (43, 2),
        "quality_balanced": (911, 1),
        "clipwise_balanced": (1401, 1),
        "quality_and_clipwise_balanced": (2048, 1),
        "proportional_by_tape": (3001, 1),
    }
    assert all(s.noise_mining.margin_s == 0.1 and s.noise_mining.fallback_raw for s in DEFAULT_STRATEGIES.values())


def test_named_strategies_win_over_the_active_ones():
    config = DatasetPrepConfig(active_strategies=["random"], strategies=DEFAULT_STRATEGIES)
    assert list(choose(config)) == ["random"]
    assert list(choose(config, ["quality_balanced", "quality_balanced"])) == ["quality_balanced"]


@pytest.mark.parametrize("name", ["nope", "../x"])
def test_a_strategy_that_cannot_be_prepared_is_an_error(name):
    strategies = {"../x": DEFAULT_STRATEGIES["random"]}
    with pytest.raises(CfgError, match=name):
        choose(DatasetPrepConfig(active_strategies=[], strategies=strategies), [name])
