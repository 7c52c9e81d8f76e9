"""The front-end settings that a training cfg means, as the model file holds them."""

from __future__ import annotations

from hum_shared.config.training import TrainingCfg
from hum_shared.model.front_end import DataOpts

ORIGINAL_LOWEST_DB, LOWEST_DB = -100.0, -150.0
"""Floor of levels that are measured over the background. At the originals' −100 dB a quiet place recorded with 24 bit
or floating point would lie below the floor, and calls over it look fainter than they are."""


def data_opts(cfg: TrainingCfg) -> DataOpts:
    """Return the front-end settings of a cfg in which nothing is left to the data.

    A network that scores frames knows no window: it has no `sequence_len_ms`, and the recording's background is
    its only normalisation.
    """
    normalisation, windows = cfg.normalisation_used, cfg.recipe != "frames"
    background = normalisation == "background"
    return DataOpts(
        sr=cfg.sr,
        n_fft=cfg.n_fft,
        hop_length=cfg.hop_length,
        n_freq_bins=cfg.n_freq_bins,
        fmin=cfg.fmin,
        fmax=cfg.fmax,
        freq_compression=cfg.freq_compression,
        min_max_norm=normalisation == "min_max" if windows else None,
        sequence_len_ms=cfg.sequence_len if windows else None,
        training_window="audio" if windows else None,
        normalisation="background" if background else None,
        background_s=cfg.background_s if background else None,
        min_level_db=LOWEST_DB if background else ORIGINAL_LOWEST_DB,
    )
