"""What a dataset will consist of: its clips, where each comes from and which part it belongs to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from hum_shared import names
from hum_shared.config.variants import DatasetStrategy
from hum_shared.errors import InputError
from hum_shared.index import CorpusEntry, CorpusIndex
from hum_trainer.index_lookup import busy_on_tapes
from hum_trainer.indexing import UNKNOWN_QUALITY
from hum_trainer.noise import NoiseRequest, mine, wanted_per_hum
from hum_trainer.splits import Part, split

TARGET, NOISE = "target", "noise"
NOISE_LABEL = "bg"
UNRATED_LABEL = "unrated"


@dataclass(frozen=True)
class PlannedClip:
    """One clip of a dataset; times are tape time.

    Attributes
    ----------
    number
        From 1; uid and number in the name.
    hum
        The hum itself, or the one whose length a noise clip has.
    source
        `labelled`: the hum; `clip`, `raw`: noise from the labelled clip or the raw recording.
    """

    number: int
    class_name: str
    label: str
    hum: CorpusEntry
    source: Literal["labelled", "clip", "raw"]
    start_s: float
    end_s: float
    part: Part

    @property
    def tape(self) -> str:
        """The raw recording's full name."""
        return self.hum.tape

    @property
    def start_ms(self) -> int:
        """Start in whole milliseconds, as the name carries it."""
        return round(self.start_s * 1000)

    @property
    def end_ms(self) -> int:
        """End in whole milliseconds, as the name carries it."""
        return round(self.end_s * 1000)

    @property
    def file_name(self) -> str:
        """The clip's name in the dataset."""
        year = names.parse_recording(self.tape).year
        tape_key = names.tape_key(self.tape)
        return names.format_dataset_clip(
            names.DatasetClipName(self.class_name, self.label, self.number, year, tape_key, self.start_ms, self.end_ms)
        )


@dataclass(frozen=True)
class DatasetPlan:
    """The clips of a dataset, targets first, and how mining noise went."""

    clips: list[PlannedClip]
    noise_from_clip: int
    noise_from_raw: int
    noise_skipped: int


def eligible(index: CorpusIndex, min_quality: int) -> list[CorpusEntry]:
    """Return the hums of at least this quality; one of unknown quality always counts.

    Raises
    ------
    InputError
        When there are none; says which qualities there are.
    """
    hums = [entry for entry in index.entries if entry.quality is None or entry.quality >= min_quality]
    if not hums:
        counts = Counter(UNKNOWN_QUALITY if entry.quality is None else f"Q{entry.quality}" for entry in index.entries)
        found = ", ".join(f"{n} {quality}" for quality, n in sorted(counts.items())) or "none at all"
        raise InputError(f"no hum has quality {min_quality} or better; the index has {found}. Lower min_quality.")
    return hums


def plan_dataset(index: CorpusIndex, strategy: DatasetStrategy, durations_s: Mapping[str, float]) -> DatasetPlan:
    """Choose targets and noise clips and split them.

    The same index and strategy give the same plan; noise and split draw from generators of their own.

    Parameters
    ----------
    durations_s
        `clip_path` or `raw_path` of the index → length of that file, seconds.

    Raises
    ------
    InputError
        When no hum is good enough.
    """
    noise_rng, split_rng = np.random.default_rng(strategy.seed).spawn(2)
    hums = eligible(index, strategy.min_quality)
    requests = []
    for position, wanted in enumerate(wanted_per_hum(strategy.noise_per_hum, len(hums), noise_rng)):
        hum = hums[position]
        offset_s = round(hum.raw_start_s - hum.clip_start_s, 6)
        clip = (offset_s, offset_s + durations_s[hum.clip_path])
        use_raw = strategy.noise_mining.fallback_raw and hum.raw_path is not None
        raw = (0.0, durations_s[hum.raw_path]) if use_raw and hum.raw_path else None
        requests += [NoiseRequest(position, hum.tape, hum.dur_s, clip, raw)] * wanted
    places, skipped = mine(requests, busy_on_tapes(index), strategy.noise_mining.margin_s, noise_rng)

    clips: list[PlannedClip] = []
    for hum in hums:
        label = UNRATED_LABEL if hum.quality is None else f"Q{hum.quality}"
        clips.append(
            PlannedClip(len(clips) + 1, TARGET, label, hum, "labelled", hum.raw_start_s, hum.raw_end_s, "train")
        )
    for found in places:
        clips.append(
            PlannedClip(
                len(clips) + 1, NOISE, NOISE_LABEL, hums[found.hum], found.source, found.start_s, found.end_s, "train"
            )
        )
    parts = split(
        strategy.split_strategy,
        [clip.class_name for clip in clips],
        [clip.label for clip in clips],
        [clip.tape for clip in clips],
        split_rng,
    )
    from_raw = sum(found.source == "raw" for found in places)
    return DatasetPlan(
        [replace(clip, part=part) for clip, part in zip(clips, parts, strict=True)],
        noise_from_clip=len(places) - from_raw,
        noise_from_raw=from_raw,
        noise_skipped=skipped,
    )
