"""`alpaca_server.cfg`: how one network is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from hum_shared.config.cfg import CfgModel, broken_rule

Precision = Literal["float32", "bfloat16"]
Device = Literal["auto", "cpu", "cuda"]


def _whole(value: Any) -> Any:
    """Let the text of a whole number stand for it: a strict Literal of ints takes no text."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


FROM_DATA = frozenset({"sr", "n_fft", "hop_length", "n_freq_bins", "fmin", "fmax", "sequence_len", "score_hop"})
"""Keys that recipes `windows` and `frames` take from the corpus's calls where a cfg does not give them."""

RECIPE_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "clips": {},
    "windows": {"augmentation": True, "batch_size": 32, "lr": 3e-5, "beta1": 0.9},
    "frames": {
        "augmentation": True,
        "freq_compression": "mel",
        "batch_size": 16,
        "lr": 2e-4,
        "beta1": 0.9,
        "max_train_epochs": 8,
        "mixup": 0.0,
    },
}
"""What holds where a cfg does not give it, by recipe: the original programs' defaults suit `clips` alone."""


class ClipsCfg(CfgModel):
    """The keys that recipe `clips` reads; those of the original programs, and a few of ours."""

    data_dir: str | None = Field(
        None,
        description="clips: dataset folder with train.csv, val.csv, test.csv and the clips; other recipes: the "
        "corpus, unset: the folder of corpus_index",
    )
    cache_dir: str | None = Field(None, description="folder of computed spectrograms; unset: kept in memory")
    model_dir: str = Field(description="where the model file and its card go")
    checkpoint_dir: str = Field(description="where the resumable state goes")
    log_dir: str | None = Field(None, description="where train.log goes; unset: logs beside model_dir")
    summary_dir: str | None = Field(
        None, description="where summaries and curves go; unset: summaries beside model_dir"
    )
    noise_dir: str | None = Field(None, description="folder of noise clips to mix in when augmenting")
    start_from_scratch: bool = Field(False, description="train anew where a model is there; a stopped run goes on")
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


class TrainingCfg(ClipsCfg):
    """Settings of `hum-trainer run`; paths are relative to the workspace."""

    written_when_given: ClassVar[frozenset[str]] = FROM_DATA

    recipe: Literal["clips", "windows", "frames"] = Field(
        "clips",
        description="clips: cut-out calls against noise clips; windows: labelled recordings, a label per window; "
        "frames: labelled recordings, a label per frame",
    )
    architecture: Literal["resnet", "dense"] | None = Field(
        None, description="network; unset: dense for recipe frames, else resnet, and nothing else fits"
    )
    # Recipes `windows` and `frames`:
    corpus_index: str | None = Field(None, description="corpus_index.json of the labelled recordings")
    normalisation: Literal["level", "min_max", "background"] | None = Field(
        None,
        description="background: level above each bin's running median; unset: level or min_max as min_max_norm "
        "says, background for recipe frames",
    )
    background_s: float = Field(30.0, gt=0, description="window of the running median of background, s")
    n_folds: int = Field(4, ge=2, description="parts that tapes are dealt into; one of them validates")
    fold: int = Field(0, ge=0, description="which part validates, from 0; counted around where tapes are fewer")
    examples_per_epoch: int | None = Field(
        None,
        ge=2,
        description="windows or chunks per epoch; unset: 4 windows per call on the training tapes, or a chunk "
        "for every two calls of the corpus; at least 256",
    )
    score_hop: int | None = Field(
        None,
        ge=1,
        description="step between windows when tapes are scored in training, ms, for which decoders are tuned, too: "
        "best the hop of the benchmark's variants; unset: from the data",
    )
    weight_decay: float = Field(0.01, ge=0, description="AdamW's decay of weights, per unit of learning rate")
    label_smoothing: float = Field(0.05, ge=0, lt=1, description="share of a label that is spread over the classes")
    ema_decay: float = Field(
        0.995, ge=0, lt=1, description="share of the averaged weights kept at a step; 0: no average"
    )
    mixup: float = Field(0.2, ge=0, description="α of the Beta distribution of mixup, with augmentation; 0: none")
    hard_negative_rounds: int = Field(
        1, ge=0, description="how often false alarms on the training tapes become negatives within a run"
    )

    @property
    def normalisation_used(self) -> Literal["level", "min_max", "background"]:
        """The normalisation that these settings mean."""
        if self.normalisation is not None:
            return self.normalisation
        if self.recipe == "frames":
            return "background"
        return "min_max" if self.min_max_norm else "level"

    @property
    def left_to_data(self) -> frozenset[str]:
        """Keys that are to be taken from the corpus's calls."""
        return frozenset() if self.recipe == "clips" else FROM_DATA - self.model_fields_set

    @property
    def recipe_defaults(self) -> dict[str, Any]:
        """Those of `RECIPE_DEFAULTS` that these settings do not give."""
        return {key: value for key, value in RECIPE_DEFAULTS[self.recipe].items() if key not in self.model_fields_set}

    @model_validator(mode="after")
    def _rules(self) -> Self:
        if self.recipe == "clips" and self.data_dir is None:
            raise broken_rule("data_dir", "data_dir is missing. Add data_dir=… (the dataset of recipe clips)")
        if self.recipe != "clips" and self.corpus_index is None:
            raise broken_rule("recipe", f"recipe {self.recipe} learns from a corpus. Add corpus_index=…")
        if self.architecture is not None and (self.architecture == "dense") != (self.recipe == "frames"):
            raise broken_rule(
                "architecture",
                f"architecture {self.architecture} does not go with recipe {self.recipe}: dense learns from frames, "
                "resnet from clips or windows",
            )
        if self.recipe == "clips" and self.normalisation_used != ("min_max" if self.min_max_norm else "level"):
            raise broken_rule(
                "normalisation",
                f"normalisation {self.normalisation} does not go with recipe clips and "
                f"min_max_norm={str(self.min_max_norm).lower()}; leave it out, or choose another recipe",
            )
        if self.recipe == "frames" and self.normalisation_used != "background":
            raise broken_rule(
                "normalisation",
                f"normalisation {self.normalisation} does not go with recipe frames, which scores no windows; leave it "
                "out, or use background",
            )
        if self.recipe == "frames" and self.jit_save:
            raise broken_rule("jit_save", "jit_save=true: there is no TorchScript form of dense networks. Leave it out")
        if self.recipe != "clips" and self.augmentation and self.freq_compression == "mfcc":
            raise broken_rule(
                "freq_compression",
                f"recipe {self.recipe} varies spectrograms, mfcc has none. Use linear or mel, or augmentation=false",
            )
        # What is left to the data is checked once the data have said it.
        left = self.left_to_data
        if not left & {"fmin", "fmax"} and self.fmin >= self.fmax:
            raise broken_rule("fmin", f"fmin {self.fmin:g} Hz is not below fmax {self.fmax:g} Hz")
        if not left & {"fmax", "sr"} and self.fmax > self.sr / 2:
            raise broken_rule("fmax", f"fmax {self.fmax:g} Hz is above half the sample rate, {self.sr / 2:g} Hz")
        if not left & {"hop_length", "n_fft"} and self.hop_length > self.n_fft:
            raise broken_rule(
                "hop_length",
                f"hop_length {self.hop_length} is longer than n_fft {self.n_fft}; the spectrogram would leave gaps. "
                f"Use a hop_length of at most {self.n_fft}.",
            )
        if self.conv_kernel_size % 2 == 0:
            raise broken_rule("conv_kernel_size", f"conv_kernel_size {self.conv_kernel_size} is even; use an odd one")
        if not left & {"sequence_len", "sr"} and self.sequence_len * self.sr < 1000:
            raise broken_rule("sequence_len", f"sequence_len {self.sequence_len} ms is shorter than one sample")
        return self
