"""A synthetic corpus that sounds like a paddock, for the demo and for tests without recordings."""

from __future__ import annotations

import datetime
import itertools
import shutil
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from hum_shared.audio import write_wav
from hum_shared.errors import InputError
from hum_shared.files import read_json, write_json
from hum_shared.names import HumName, format_clip, format_hum
from hum_trainer import sounds

SETTINGS_FILE = "paddock.json"
Background = Literal["wind", "rain"]

_GAP_MS = 200  # at least this long between two hums, and between a hum and its clip's edge
_HUM_MS = (300, 2000)
_QUALITY_LIMITS_DB = (10.0, 17.5)  # below the first: quality 1, below the second: 2, else 3
_BACKGROUND_RMS = 0.01


@dataclass(frozen=True)
class Paddock:
    """What a synthetic corpus sounds like.

    Attributes
    ----------
    minutes_per_tape, clip_minutes
        Length of a tape, and of the labelled clips it is cut into; the last clip takes the rest.
    sample_rate
        Hz.
    hums_per_minute, distractors_per_minute
        How many hums; how many steps, birds, voices and clicks together.
    snr_db
        Range of the hums' level over the background, both within 100–4000 Hz.
    background
        ``wind``, or ``rain`` with wind and a machine's drone.
    seed
        Seed of every random choice; a tape depends on it and on its own name, not on the other tapes.
    """

    minutes_per_tape: float = 3.0
    clip_minutes: float = 1.0
    sample_rate: int = 16000
    hums_per_minute: float = 10.0
    distractors_per_minute: float = 14.0
    snr_db: tuple[float, float] = (3.0, 25.0)
    background: Background = "wind"
    seed: int = 1

    def __post_init__(self) -> None:
        rules = {
            "minutes_per_tape": self.minutes_per_tape > 0,
            "clip_minutes": self.clip_minutes > 0,
            "sample_rate": self.sample_rate >= 8000,
            "hums_per_minute": 0 <= self.hums_per_minute <= 20,
            "distractors_per_minute": self.distractors_per_minute >= 0,
            "snr_db": self.snr_db[0] <= self.snr_db[1],
        }
        broken = [name for name, kept in rules.items() if not kept]
        if broken:
            raise InputError(
                f"{broken[0]} {getattr(self, broken[0])} cannot be synthesised. Lengths are above 0, the sample rate "
                "is at least 8000 Hz, there are 0 to 20 hums per minute, and the SNR range rises."
            )

    def clip_edges_ms(self) -> list[tuple[int, int]]:
        """Return start and end of every clip of a tape, in ms; they cover it without gaps."""
        tape_ms, clip_ms = round(self.minutes_per_tape * 60_000), round(self.clip_minutes * 60_000)
        starts = range(0, max(tape_ms - clip_ms // 2, 1), clip_ms)
        return list(itertools.pairwise([*starts, tape_ms]))


@dataclass(frozen=True)
class PlacedHum:
    """A hum on a tape: where its envelope begins and ends (ms of tape time), and its level."""

    start_ms: int
    end_ms: int
    snr_db: float

    @property
    def quality(self) -> int:
        """1 to 3, by level over the background."""
        return 1 + sum(self.snr_db >= limit for limit in _QUALITY_LIMITS_DB)


def tape_names(count: int, first_animal: int = 380) -> list[str]:
    """Return names of `count` raw recordings, one animal each, such as `380_20201201_cut.wav`."""
    first_day = datetime.date(2020, 12, 1)
    days = [first_day + datetime.timedelta(days=3 * i) for i in range(count)]
    return [f"{first_animal + i}_{day:%Y%m%d}_cut.wav" for i, day in enumerate(days)]


def synthesise(out: Path, *, tapes: Sequence[str], paddock: Paddock) -> int:
    """Write a corpus as spec/corpus.md lays it out: raw recordings, labelled clips and cut-out hums.

    Parameters
    ----------
    out
        The corpus folder; it appears when it is complete.
    tapes
        Names of the raw recordings, see :func:`tape_names`.

    Returns
    -------
    int
        How many hums were written; 0 when `out` already holds this very corpus.

    Raises
    ------
    InputError
        When `out` holds something else.
    """
    settings = {"tapes": list(tapes), **asdict(paddock), "snr_db": list(paddock.snr_db)}
    if out.exists() and any(out.iterdir()):
        if (out / SETTINGS_FILE).is_file() and read_json(out / SETTINGS_FILE) == settings:
            return 0
        raise InputError(f"{out}: is not empty and no corpus of these settings. Name a new folder, or delete this one.")
    draft = out.with_name(f".{out.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    n_hums = sum(_write_tape(draft, tape, paddock) for tape in tapes)
    write_json(draft / SETTINGS_FILE, settings)
    draft.replace(out)
    return n_hums


def compose_tape(rng: np.random.Generator, paddock: Paddock) -> tuple[NDArray[np.int16], list[PlacedHum]]:
    """Return the samples of one tape and its hums, in time order.

    Hums never overlap each other, and none reaches over a clip's edge; distractors may sound at any time.
    """
    rate = paddock.sample_rate
    edges = paddock.clip_edges_ms()
    n = _samples(edges[-1][1], rate)
    tape = _BACKGROUND_RMS * {"wind": sounds.wind, "rain": sounds.rain}[paddock.background](rng, rate, n)
    band = butter(2, sounds.BAND_HZ, "bandpass", fs=rate, output="sos") if rate > 2 * sounds.BAND_HZ[1] else None
    heard = tape if band is None else sosfilt(band, tape)
    background = np.sqrt(np.mean(heard**2))
    makers = (sounds.hoof_steps, sounds.bird, sounds.voice, sounds.click)
    for _ in range(round(paddock.distractors_per_minute * n / rate / 60)):
        sound = makers[rng.integers(len(makers))](rng, rate)
        level = background * 10 ** (rng.uniform(0, 20) / 20)
        _add(tape, level * sounds.from_afar(rng, rate, sound, rng.random()), int(rng.integers(n)))
    own_f0_hz = rng.uniform(190, 380)  # an animal's own pitch, around which its hums vary
    hums = []
    for start_ms, end_ms in _place(rng, edges, paddock.hums_per_minute):
        first, stop = _samples(start_ms, rate), _samples(end_ms, rate)
        snr_db = rng.uniform(*paddock.snr_db)
        f0_hz = float(np.clip(own_f0_hz * 2 ** rng.normal(0, 0.25), 150, 450))
        sound = sounds.from_afar(rng, rate, sounds.hum(rng, rate, stop - first, f0_hz), 1 - np.clip(snr_db / 25, 0, 1))
        local = np.sqrt(np.mean(heard[first:stop] ** 2))
        _add(tape, local * 10 ** (snr_db / 20) * sound, first)
        hums.append(PlacedHum(start_ms, end_ms, snr_db))
    tape *= min(1.0, 0.99 / np.abs(tape).max())
    return np.round(tape * 32767).astype(np.int16), hums


def _write_tape(corpus: Path, tape: str, paddock: Paddock) -> int:
    rng = np.random.default_rng([paddock.seed, zlib.crc32(tape.encode())])
    samples, hums = compose_tape(rng, paddock)

    def write(folder: str, name: str, start_ms: int, end_ms: int) -> None:
        (corpus / folder).mkdir(parents=True, exist_ok=True)
        part = samples[_samples(start_ms, paddock.sample_rate) : _samples(end_ms, paddock.sample_rate)]
        write_wav(corpus / folder / name, part, paddock.sample_rate, "PCM_16")

    edges = paddock.clip_edges_ms()
    write("raw_recordings", tape, 0, edges[-1][1])
    for clip_start, clip_end in edges:
        clip = format_clip(tape, clip_start / 1000, clip_end / 1000)
        write("labelled_recordings", clip, clip_start, clip_end)
        for hum in hums:
            if clip_start <= hum.start_ms < clip_end:
                times = ((hum.start_ms - clip_start) / 1000, (hum.end_ms - clip_start) / 1000)
                write("segmented", format_hum(HumName(clip, *times, hum.quality)), hum.start_ms, hum.end_ms)
    return len(hums)


def _place(rng: np.random.Generator, edges: Sequence[tuple[int, int]], per_minute: float) -> list[tuple[int, int]]:
    """Return start and end of hums in ms: in loose bouts, never closer than `_GAP_MS`."""
    placed: list[tuple[int, int]] = []
    due = 0.0
    for clip_start, clip_end in edges:
        due += per_minute * (clip_end - clip_start) / 60_000
        count = round(due) - len(placed)
        durations = rng.integers(*_HUM_MS, size=count)
        free = clip_end - clip_start - int(durations.sum()) - _GAP_MS * (count + 1)
        while free < 0 and durations.size:  # a short or crowded clip: its longest hums go first
            durations = np.delete(durations, durations.argmax())
            count = durations.size
            free = clip_end - clip_start - int(durations.sum()) - _GAP_MS * (count + 1)
        pauses = _GAP_MS + np.floor(rng.dirichlet(np.full(count + 1, 0.7)) * free).astype(np.int64)
        starts = clip_start + np.cumsum(pauses[:-1]) + np.cumsum(durations) - durations
        placed += [(int(a), int(a + length)) for a, length in zip(starts, durations, strict=True)]
    return placed


def _add(tape: sounds.Signal, sound: sounds.Signal, first: int) -> None:
    end = min(tape.size, first + sound.size)
    tape[first:end] += sound[: end - first]


def _samples(ms: int, rate: int) -> int:
    return round(ms * rate / 1000)
