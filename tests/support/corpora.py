"""A tiny labelled corpus with real audio: tones as hums in faint noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from hum_shared.names import HumName, format_clip, format_hum

TAPES = ("387_20201207_cut.wav", "388_20210115_hof_cut.wav", "391_20210302_cut.wav")


@dataclass(frozen=True)
class Hum:
    """A hum of the corpus; `start_s` and `end_s` are clip time."""

    tape: str
    clip: str
    offset_s: float
    start_s: float
    end_s: float
    quality: int

    @property
    def file_name(self) -> str:
        return format_hum(HumName(self.clip, self.start_s, self.end_s, self.quality))


def make_corpus(
    root: Path,
    *,
    tapes: Sequence[str] = TAPES,
    clips_per_tape: int = 2,
    clip_s: float = 10.0,
    hums_per_clip: int = 4,
    sample_rate: int = 8000,
    channels: int = 1,
    subtype: str = "PCM_16",
    raw: bool = True,
    seed: int = 0,
) -> list[Hum]:
    """Write `raw_recordings/`, `labelled_recordings/` and `segmented/` into `root`; the same seed gives the same files.

    A tape is its clips end to end and one clip's length of silence (faint noise) more. The hums of a clip, 0.3 to
    0.6 s long, lie one in each of as many equal stretches; their qualities are 1, 2, 3, 1, 2, …

    Returns
    -------
    list
        The hums, in the order of tape and time.
    """
    rng = np.random.default_rng(seed)
    folders = {name: root / name for name in ("labelled_recordings", "segmented", "raw_recordings")}
    for name, folder in folders.items():
        if raw or name != "raw_recordings":
            folder.mkdir(parents=True)
    hums: list[Hum] = []

    def write(path: Path, samples: np.ndarray) -> None:
        soundfile.write(path, samples, sample_rate, subtype=subtype)

    for tape in tapes:
        tape_samples = 0.01 * rng.standard_normal((round((clips_per_tape + 1) * clip_s * sample_rate), channels))
        for number in range(clips_per_tape):
            offset_s = number * clip_s
            clip = format_clip(tape, offset_s, offset_s + clip_s)
            first = round(offset_s * sample_rate)
            samples = tape_samples[first : first + round(clip_s * sample_rate)]
            stretch_s = clip_s / hums_per_clip
            for position in range(hums_per_clip):
                dur_s = round(rng.uniform(0.3, 0.6), 3)
                start_s = round(position * stretch_s + rng.uniform(0.1, stretch_s - dur_s - 0.1), 3)
                hum = Hum(tape, clip, offset_s, start_s, round(start_s + dur_s, 3), len(hums) % 3 + 1)
                inside = slice(round(hum.start_s * sample_rate), round(hum.end_s * sample_rate))
                time_s = np.arange(inside.stop - inside.start) / sample_rate
                samples[inside] += 0.1 * hum.quality * np.sin(2 * np.pi * 440 * time_s)[:, None]
                write(folders["segmented"] / hum.file_name, samples[inside])
                hums.append(hum)
            write(folders["labelled_recordings"] / clip, samples)
        if raw:
            write(folders["raw_recordings"] / tape, tape_samples)
    return hums


def repeat(source: Path, target: Path, times: int) -> None:
    """Write a recording that repeats another, of 16 bits and one channel."""
    samples, rate = soundfile.read(source, dtype="int16")
    with soundfile.SoundFile(target, "w", rate, 1, "PCM_16") as file:
        for _ in range(times):
            file.write(samples)
