"""`alpaca_server.cfg`: how one network is trained."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from hum_shared.config.cfg import CfgModel, broken_rule

Precision = Literal["float32", "bfloat16"]
Device = Literal["auto", "cpu", "cuda"]


def _whole(value: Any) -> Any:
    """Let the text of a whole number stand for it: a strict Literal of ints takes no text."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


class TrainingCfg(CfgModel):
    """Settings of `hum-trainer run`; paths are relative to the workspace."""

    data_dir: str = Field(description="dataset folder with train.csv, val.csv, test.csv and the clips")
    cache_dir: str | None = Field(None, description="folder of computed spectrograms; unset: kept in memory")
    model_dir: str = Field(description="where the model file and its card go")
    checkpoint_dir: str = Field(description="where the resumable state goes")
    log_dir: str | None = Field(None, description="where train.log goes; unset: logs beside model_dir")
    summary_dir: str | None = Field(
        None, description="where summaries and curves go; unset: summaries beside model_dir"
    )
    noise_dir: str | None = Field(None, description="folder of noise clips to mix in when augmenting")
    start_from_scratch: bool = Field(False, description="ignore a checkpoint and train anew")
    max_train_epochs: int = Field(40, ge=1, description="epochs at most")
    jit_save: bool = Field(False, description="write TorchScript instead of the dict of tensors")
    epochs_per_eval: int = Field(2, ge=1, description="epochs between two validations")
    batch_size: int = Field(16, ge=1, description="clips per batch")
    num_workers: int = Field(0, ge=0, description="threads that read clips; 0: chosen for the machine")
    no_cuda: bool = Field(False, description="train on the CPU")
    lr: float = Field(1e-5, gt=0, description="learning rate per clip: multiplied by batch_size")
    beta1: float = Field(0.5, ge=0, lt=1, description="Adam's first decay rate")
    lr_patience_epochs: int = Field(8, ge=0, description="epochs without better validation accuracy before lr drops")
    lr_decay_factor: float = Field(0.5, gt=0, lt=1, description="what lr is multiplied by when it drops")
    early_stopping_patience_epochs: int = Field(10, ge=1, description="epochs without improvement before the end")
    filter_broken_audio: bool = Field(False, description="leave out clips that cannot be read instead of failing")
    sequence_len: int = Field(400, ge=1, description="window, ms")
    freq_compression: Literal["linear", "mel", "mfcc"] = Field("linear", description="frequency axis")
    n_freq_bins: int = Field(128, ge=1, description="frequency bins of the input")
    n_fft: int = Field(2048, ge=2, description="STFT length, samples")
    hop_length: int = Field(1024, ge=1, description="STFT hop, samples")
    sr: int = Field(48000, ge=1, description="sample rate of the model, Hz")
    augmentation: bool = Field(False, description="vary level, pitch and time, mix in noise (training only)")
    resnet: Annotated[Literal[18, 34, 50, 101, 152], BeforeValidator(_whole)] = Field(
        18, description="size of the network"
    )
    conv_kernel_size: int = Field(7, ge=1, description="kernel of the first convolution; odd")
    num_classes: int = Field(2, ge=2, description="must equal the classes found in the file names")
    max_pool: Annotated[Literal[0, 1, 2], BeforeValidator(_whole)] = Field(
        2, description="0: stride 2 in stage 1; 1: 3×3 max-pool; 2: neither"
    )
    min_max_norm: bool = Field(False, description="scale each window to [0, 1] instead of by fixed dB levels")
    fmin: float = Field(0, ge=0, description="lowest frequency, Hz")
    fmax: float = Field(4000, gt=0, description="highest frequency, Hz")
    debug: bool = Field(False, description="write every batch into train.log as well")
    # Ours:
    seed: int = Field(0, ge=0, description="seed of every random choice")
    precision: Precision = Field("float32", description="bfloat16: autocast of the network where the device can")
    device: Device | None = Field(None, description="wins over no_cuda; cuda fails where there is no GPU")
    recipe: Literal["clips"] = Field("clips", description="clips: cut-out calls against noise clips")

    @model_validator(mode="after")
    def _rules(self) -> Self:
        if self.fmin >= self.fmax:
            raise broken_rule("fmin", f"fmin {self.fmin:g} Hz is not below fmax {self.fmax:g} Hz")
        if self.fmax > self.sr / 2:
            raise broken_rule("fmax", f"fmax {self.fmax:g} Hz is above half the sample rate, {self.sr / 2:g} Hz")
        if self.conv_kernel_size % 2 == 0:
            raise broken_rule("conv_kernel_size", f"conv_kernel_size {self.conv_kernel_size} is even; use an odd one")
        if self.sequence_len * self.sr < 1000:
            raise broken_rule("sequence_len", f"sequence_len {self.sequence_len} ms is shorter than one sample")
        return self
