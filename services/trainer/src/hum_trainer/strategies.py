"""The dataset strategies that are shipped (`slurm/variants/dataset_prep_configs.json`) and how some are chosen."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hum_shared.config.variants import DatasetPrepConfig, DatasetStrategy, NoiseMining
from hum_shared.errors import CfgError

_MINING = NoiseMining(margin_s=0.1, fallback_raw=True)

DEFAULT_STRATEGIES = {
    "random": DatasetStrategy(split_strategy="random", seed=42, min_quality=1, noise_per_hum=1, noise_mining=_MINING),
    "random_more_noise": DatasetStrategy(
        split_strategy="random", seed=43, min_quality=1, noise_per_hum=2, noise_mining=_MINING
    ),
    "quality_balanced": DatasetStrategy(
        split_strategy="quality_balanced", seed=911, min_quality=1, noise_per_hum=1, noise_mining=_MINING
    ),
    "clipwise_balanced": DatasetStrategy(
        split_strategy="clipwise_balanced", seed=1401, min_quality=1, noise_per_hum=1, noise_mining=_MINING
    ),
    "quality_and_clipwise_balanced": DatasetStrategy(
        split_strategy="quality_and_clipwise_balanced", seed=2048, min_quality=1, noise_per_hum=1, noise_mining=_MINING
    ),
    "proportional_by_tape": DatasetStrategy(
        split_strategy="proportional_by_tape", seed=3001, min_quality=1, noise_per_hum=1, noise_mining=_MINING
    ),
}
DEFAULT_CONFIG = DatasetPrepConfig(active_strategies=list(DEFAULT_STRATEGIES), strategies=DEFAULT_STRATEGIES)


def choose(config: DatasetPrepConfig, wanted: Sequence[str] = ()) -> dict[str, DatasetStrategy]:
    """Return the strategies to prepare, by name.

    Parameters
    ----------
    wanted
        Names; none means the config's active strategies.

    Raises
    ------
    CfgError
        When a name is unknown or cannot be part of a folder's name, or there is nothing to prepare.
    """
    chosen = list(dict.fromkeys(wanted or config.active_strategies))
    if not chosen:
        raise CfgError("active_strategies is empty; name at least one, or give --strategy NAME")
    for name in chosen:
        if name not in config.strategies:
            raise CfgError(f"no strategy is named {name!r}; defined: {', '.join(config.strategies)}")
        if not re.fullmatch(r"[\w.+-]+", name):
            raise CfgError(f"strategy {name!r}: its name becomes a folder's; use letters, digits, _ - + and .")
    return {name: config.strategies[name] for name in chosen}
