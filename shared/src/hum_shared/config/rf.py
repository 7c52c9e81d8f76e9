"""`rf.cfg`: how selections are filtered by a forest on acoustic features."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from hum_shared.config.cfg import CfgModel, broken_rule


class RfCfg(CfgModel):
    """Settings of `hum-rf-filter run`; paths are relative to the workspace."""

    run_root: str = Field(description="the run: evaluation/annotations is read, postrf is written")
    audio_dir: str = Field(description="folder of the recordings")
    rf_model_path: str = Field(description="a forest: .skops of ours, or .pkl/.joblib pinned by digest")
    rf_threshold: float = Field(0.4, ge=0, le=1, description="selections with at least this probability are kept")
    n_fft: int = Field(2048, ge=2, description="STFT length, samples")
    hop: int = Field(1024, ge=1, description="STFT hop, samples")
    n_mfcc: int = Field(13, ge=1, le=128, description="cepstral coefficients")
    include_deltas: bool = Field(True, description="also their first and second differences")
    # Ours:
    rf_model_sha256: Annotated[str, StringConstraints(to_lower=True, pattern=r"^[0-9A-Fa-f]{64}$")] | None = Field(
        None, description="digest the forest must have, in small or capital letters; needed for pickles"
    )
    use_card_threshold: bool = Field(
        False, description="take the threshold that the forest's card recommends; rf_threshold where it has none"
    )
    scores_dir: str | None = Field(
        None, description="where the run's score tracks lie; unset: none, and features that need them are missing"
    )
    allow_missing_features: bool = Field(False, description="fill columns the forest wants and the table lacks")
    num_workers: int = Field(0, ge=0, description="worker processes; 0: all CPUs the process may use")

    @model_validator(mode="after")
    def _rules(self) -> Self:
        if self.hop > self.n_fft:
            raise broken_rule("hop", f"hop {self.hop} is longer than n_fft {self.n_fft}; samples would be left out")
        return self
