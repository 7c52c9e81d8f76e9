"""The front end: windows of audio to the network's input (spec/model-and-scores.md, "Front end").

Every step works on a batch. Training uses the steps one by one, so that it can augment the power spectrogram
in between; prediction calls the whole.
"""

from __future__ import annotations

import math
from typing import Any, Literal, Self

import torch
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

_MFCC_COEFFICIENTS = 32


class DataOpts(BaseModel):
    """Front-end settings as they stand in a model file under `dataOpts`."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())

    sr: int = Field(gt=0, description="sample rate, Hz")
    preemphases: float = Field(0.98, description="pre-emphasis factor (the format's spelling)")
    n_fft: int = Field(gt=1, description="samples")
    hop_length: int = Field(gt=0, description="samples")
    n_freq_bins: int = Field(gt=0, validation_alias=AliasChoices("n_freq_bins", "num_mels"))
    fmin: float = Field(ge=0, description="Hz")
    fmax: float = Field(gt=0, description="Hz")
    freq_compression: Literal["linear", "mel", "mfcc"] = "linear"
    min_level_db: float = -100
    ref_level_db: float = 20
    min_max_norm: bool | None = Field(None, description="how the model was trained; None in foreign files")
    sequence_len_ms: float | None = Field(None, description="window it was trained on; None in foreign files")
    training_window: str | None = Field(
        None, description="'audio': clips were cropped before the front end, as in prediction; None in foreign files"
    )
    normalisation: Literal["background"] | None = Field(
        None, description="background: level above each bin's running median; None: by level or min_max_norm"
    )
    background_s: float | None = Field(None, gt=0, description="window of the running median, s; None without one")

    @model_validator(mode="after")
    def _band_holds_bins(self) -> Self:
        if not self.fmin < min(self.fmax, self.sr / 2):
            raise ValueError(f"fmin {self.fmin:g} Hz is not below fmax {self.fmax:g} Hz and sr/2 = {self.sr / 2:g} Hz")
        if (self.normalisation == "background") != (self.background_s is not None):
            raise ValueError("normalisation 'background' and background_s go together")
        if not self.min_level_db < 0:
            raise ValueError(f"min_level_db {self.min_level_db:g} is not below 0")
        return self

    @property
    def input_bins(self) -> int:
        """F of the network's input (N, 1, T, F)."""
        return min(self.n_freq_bins, _MFCC_COEFFICIENTS) if self.freq_compression == "mfcc" else self.n_freq_bins

    def as_dict(self) -> dict[str, Any]:
        """Return the dict for a model file, as the originals write it: whole numbers as int, no None."""
        values = self.model_dump(exclude_none=True)
        return {
            k: int(v) if isinstance(v, float) and k != "preemphases" and v.is_integer() else v
            for k, v in values.items()
        }


class FrontEnd(nn.Module):
    """Turns windows of audio into network input.

    Parameters
    ----------
    opts
        Settings of the model file.
    min_max_norm
        Scale each window to [0, 1] by its own extremes instead of by fixed dB levels.
    """

    window: Tensor
    bins: Tensor
    mel: Tensor
    dct: Tensor

    def __init__(self, opts: DataOpts, *, min_max_norm: bool) -> None:
        super().__init__()
        self.opts, self.min_max_norm = opts, min_max_norm
        window = torch.hann_window(opts.n_fft, periodic=True)
        self.register_buffer("window", window)
        self.power_scale = 1.0 / float((window**2).sum())
        self.register_buffer("bins", linear_bins(opts))
        self.register_buffer("mel", mel_filters(opts))
        self.register_buffer("dct", _dct(opts.n_freq_bins))

    def forward(self, audio: Tensor) -> Tensor:
        """Map windows (N, samples) of float32 audio in ±1 to network input (N, 1, T, F)."""
        return self.normalise(self.decibel(self.compress(self.power(audio))))

    def power(self, audio: Tensor) -> Tensor:
        """Map windows (N, samples) to power spectrograms (N, T, bins).

        With linear compression only the bins it picks are computed: the result is then already compressed.
        Otherwise bins = n_fft // 2 + 1.
        """
        return self.power_of_emphasised(self._emphasised(audio))

    def power_of_emphasised(self, audio: Tensor) -> Tensor:
        """Map samples after pre-emphasis, (N, at least `n_fft` samples), to what :meth:`power` gives."""
        spectrum = self._spectrum(audio)
        if self.opts.freq_compression == "linear":
            spectrum = spectrum.index_select(-1, self.bins)
        return _square(spectrum) * self.power_scale

    def full_power(self, audio: Tensor) -> Tensor:
        """Map windows (N, samples) to power spectrograms with all n_fft // 2 + 1 bins, (N, T, bins)."""
        return _square(self._spectrum(self._emphasised(audio))) * self.power_scale

    def select_bins(self, power: Tensor) -> Tensor:
        """Map a full power spectrogram to what :meth:`power` gives."""
        return power.index_select(-1, self.bins) if self.opts.freq_compression == "linear" else power

    def compress(self, power: Tensor) -> Tensor:
        """Map :meth:`power` (N, T, bins) to (N, T, F)."""
        if self.opts.freq_compression == "linear":
            return power
        mel = power @ self.mel[: power.shape[-1]]
        if self.opts.freq_compression == "mel":
            return mel
        log_mel = 10 * torch.log10(mel)
        # In float64: decibels follow, and coefficients near zero would show every rounding.
        return (torch.where(torch.isneginf(log_mel), 0.0, log_mel).double() @ self.dct).to(power.dtype)

    def decibel(self, power: Tensor) -> Tensor:
        """Return 10·log10 of a power, floored at `min_level_db`; same shape."""
        return power.clamp(min=10 ** (self.opts.min_level_db / 10)).log10().mul_(10)

    def normalise(self, level: Tensor) -> Tensor:
        """Map levels (N, T, F) in dB to (N, 1, T, F) in [0, 1]; a constant window becomes 0."""
        if self.min_max_norm:
            low = level.amin((1, 2), keepdim=True)
            span = level.amax((1, 2), keepdim=True) - low
            scaled = (level - low) / torch.where(span > 0, span, 1.0)
        else:
            scaled = (level - (self.opts.ref_level_db + self.opts.min_level_db)) / -self.opts.min_level_db
            scaled = scaled.clamp_(0, 1)
        return scaled.unsqueeze(1)

    @property
    def highest_bin(self) -> int:
        """The highest STFT bin that the input depends on."""
        if self.opts.freq_compression == "linear":
            return int(self.bins.max())
        return int(self.mel.any(dim=1).nonzero().max())

    def _emphasised(self, audio: Tensor) -> Tensor:
        # Multiplied, then subtracted, each rounded: a fused step would shift the bins near silence.
        emphasised = torch.cat((audio[:, :1], audio[:, 1:] - self.opts.preemphases * audio[:, :-1]), dim=1)
        missing = self.opts.n_fft - emphasised.shape[1]
        return nn.functional.pad(emphasised, (0, missing)) if missing > 0 else emphasised

    def _spectrum(self, audio: Tensor) -> Tensor:
        frames = audio.unfold(-1, self.opts.n_fft, self.opts.hop_length)
        spectrum: Tensor = torch.fft.rfft(frames * self.window)
        return spectrum


def linear_bins(opts: DataOpts) -> Tensor:
    """Return the STFT bin that each output of linear compression takes, shape (n_freq_bins,).

    Bins ``floor(n_fft·fmin/sr)`` up to, not including, ``min(n_fft − 1, ceil(n_fft·fmax/sr))``, spread to
    `n_freq_bins` by nearest neighbour: output j takes input ``floor(j·in/out)``.
    """
    first = math.floor(opts.n_fft * opts.fmin / opts.sr)
    stop = min(opts.n_fft - 1, math.ceil(opts.n_fft * opts.fmax / opts.sr), opts.n_fft // 2 + 1)
    return first + torch.arange(opts.n_freq_bins) * (stop - first) // opts.n_freq_bins


def bin_frequencies(opts: DataOpts) -> Tensor:
    """Return the frequency in Hz that each bin of linear or mel compression stands for, shape (n_freq_bins,)."""
    if opts.freq_compression == "linear":
        return linear_bins(opts) * (opts.sr / opts.n_fft)
    low, high = (2595 * math.log10(1 + f / 700) for f in (opts.fmin, opts.fmax))
    mels = torch.linspace(low, high, opts.n_freq_bins + 2)[1:-1]
    return 700 * (10 ** (mels / 2595) - 1)


def mel_filters(opts: DataOpts) -> Tensor:
    """Return triangular mel filters, shape (n_fft // 2 + 1, n_freq_bins), not area-normalised.

    m = 2595·log10(1 + f/700); `n_freq_bins` + 2 points evenly spaced in m, each moved to bin
    ``floor((n_fft + 1)·f/sr)``. An edge of zero width contributes nothing.
    """
    low, high = (2595 * math.log10(1 + f / 700) for f in (opts.fmin, opts.fmax))
    points = opts.n_freq_bins + 2
    edges = []
    for index in range(points):
        hz = 700 * (10 ** ((low + (high - low) * index / (points - 1)) / 2595) - 1)
        edges.append(math.floor((opts.n_fft + 1) * hz / opts.sr))
    filters = torch.zeros(opts.n_fft // 2 + 1, opts.n_freq_bins)
    for index in range(opts.n_freq_bins):
        left, centre, right = edges[index : index + 3]
        for k in range(left, min(centre, len(filters))):
            filters[k, index] = (k - left) / (centre - left)
        for k in range(centre, min(right, len(filters))):
            filters[k, index] = (right - k) / (right - centre)
    return filters


def _dct(n_bins: int) -> Tensor:
    """Return coefficients 1 to 32 of DCT-II without normalisation, shape (n_bins, up to 32), float64."""
    middle = torch.arange(n_bins, dtype=torch.float64)[:, None] + 0.5
    order = torch.arange(1, min(n_bins, 1 + _MFCC_COEFFICIENTS), dtype=torch.float64)
    return 2 * torch.cos(math.pi / n_bins * middle * order)


def _square(spectrum: Tensor) -> Tensor:
    # |S|² without the square root that abs() takes.
    parts = torch.view_as_real(spectrum)
    return parts[..., 0].square() + parts[..., 1].square()
