"""`predict.cfg`: how recordings are scored."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from hum_shared.config.cfg import CfgModel, broken_rule
from hum_shared.config.training import Device, Precision


class PredictionCfg(CfgModel):
    """Settings of `hum-predictor run`; paths are relative to the workspace."""

    model_path: str = Field(description="ANIMAL-SPOT.pk, or a TorchScript file with jit_load")
    output_dir: str = Field(description="where score tracks and failures.json go")
    log_dir: str | None = Field(None, description="where text logs go (legacy_log); unset: output_dir")
    input_file: str = Field(description="a recording, a folder or a glob")
    sequence_len: float = Field(gt=0, description="window, s")
    hop: float = Field(gt=0, description="step from window to window, s")
    threshold: float = Field(0.5, ge=0, le=1, description="only stands in the text log; scores do not depend on it")
    batch_size: int = Field(0, ge=0, description="windows per batch; 0: chosen for the device")
    num_workers: int = Field(0, ge=0, description="CPU threads; 0: OMP_NUM_THREADS, else all CPUs the process may use")
    no_cuda: bool = Field(False, description="score on the CPU")
    jit_load: bool = Field(False, description="the model file is TorchScript")
    min_max_norm: bool = Field(False, description="scale each window to [0, 1]; must match the training")
    visualize: bool = Field(False, description="write a spectrogram picture with the score curve per recording")
    latent_extract: bool = Field(False, description="write the pooled features per window as Parquet")
    debug: bool = Field(False, description="say more of every recording, also in the text log")
    # Ours:
    device: Device | None = Field(None, description="wins over no_cuda; cuda fails where there is no GPU")
    precision: Precision = Field("float32", description="bfloat16: autocast of the network where the device can")
    score_tail: bool = Field(False, description="add one last window aligned to the end of the recording")
    legacy_log: bool = Field(False, description="also write the originals' text log")
    recursive: bool = Field(False, description="look into sub-folders of input_file")
    block_seconds: float = Field(60, gt=0, description="audio read at a time, s")

    @model_validator(mode="after")
    def _rules(self) -> Self:
        if self.hop > self.sequence_len:
            raise broken_rule(
                "hop",
                f"hop {self.hop:g} s is longer than sequence_len {self.sequence_len:g} s; "
                f"windows would leave gaps. Use a hop of at most {self.sequence_len:g}.",
            )
        return self
