"""Made-up species that are nothing like an alpaca: do the defaults, all taken from the data, fit their calls too?

Every tape is another animal with its own pitch and pace; the benchmark's animals differ from those trained on, are
recorded at another level and before another background. Distractors sound like the species but are no calls.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.signal import butter, fftconvolve, sosfilt
from species_sounds import (
    Maker,
    Signal,
    anything,
    cage,
    chirp,
    cough,
    engine,
    flutter,
    grunt,
    insect,
    knock,
    moan,
    repertoire,
    rumble,
    scratch,
    shout,
    single_pulse,
    song,
    syllable,
    tone,
    trill,
    twitter,
    ultrasound,
    whistle,
)

from hum_shared.audio import write_wav
from hum_shared.names import HumName, format_clip, format_hum


@dataclass(frozen=True)
class Species:
    """What a species sounds like.

    Attributes
    ----------
    rate
        Sample rate of its recordings, Hz.
    tape_s
        Length of a tape.
    dur_s, gap_s
        Shortest and longest call, and shortest and mean pause between two. A maker may choose its own durations.
    band_hz
        Where level over background is measured.
    call, distractor
        Make a sound of a random generator, the rate, a duration (s) and the animal's own pitch ratio (0.7 to 1.4).
    snr_db, benchmark_snr_db
        Of calls in `band_hz`, on tapes to train on and on the benchmark's where these differ.
    reverberant
        Sounds of the benchmark arrive with echoes of a third of a second.
    sparse
        The benchmark's tapes are eight times as long, with fifteen times the pauses, and most of what is heard there
        besides calls is of kinds that no training tape holds.
    """

    rate: int
    tape_s: float
    dur_s: tuple[float, float]
    gap_s: tuple[float, float]
    band_hz: tuple[float, float]
    call: Maker
    distractor: Maker
    snr_db: tuple[float, float] = (0.0, 20.0)
    benchmark_snr_db: tuple[float, float] | None = None
    reverberant: bool = False
    sparse: bool = False


SPECIES = {
    "whistler": Species(44_100, 120, (0.1, 0.4), (0.15, 2.0), (2000, 6000), whistle, twitter),
    "trilling_frog": Species(22_050, 120, (0.4, 1.2), (0.3, 3.0), (1500, 3500), trill, single_pulse),
    "rumbler": Species(2_000, 900, (2.0, 7.0), (2.0, 20.0), (10, 200), rumble, engine),
    "bat": Species(192_000, 25, (0.003, 0.008), (0.03, 0.12), (30_000, 90_000), chirp, insect),
    "barker": Species(16_000, 150, (0.06, 0.25), (0.2, 2.5), (300, 3000), cough, knock),
    "singer": Species(24_000, 400, (6.0, 18.0), (2.0, 15.0), (300, 2500), song, shout),
    "dialects": Species(32_000, 90, (0.03, 0.2), (0.02, 0.4), (500, 8000), syllable, flutter),
    "strangers": Species(
        32_000, 90, (0.03, 0.2), (0.02, 0.4), (500, 8000), syllable, flutter, (5.0, 25.0), (-3.0, 10.0), True
    ),
    "monkey": Species(48_000, 200, (0.03, 2.0), (0.15, 1.2), (4000, 16_000), repertoire, cage),
    "mouse": Species(250_000, 40, (0.006, 0.08), (0.02, 0.2), (35_000, 110_000), ultrasound, scratch, (-3.0, 15.0)),
    "hermit": Species(16_000, 150, (0.3, 1.5), (0.5, 4.0), (150, 3000), moan, cough, sparse=True),
    "chorus": Species(8_000, 150, (0.12, 0.35), (0.04, 0.25), (80, 1500), grunt, knock),
}


def write_species(out: Path, name: str, *, tapes: int, seed: int, benchmark: bool) -> None:
    """Write a corpus of one species as spec/corpus.md lays it out; nothing when it is there."""
    if (out / "labelled_recordings").is_dir():
        return
    species = SPECIES[name]
    for number in range(tapes):
        tape = f"{name}{(500 if benchmark else 100) + number}_20240601.wav"
        _write_tape(out, tape, species, np.random.default_rng([seed, zlib.crc32(tape.encode())]), benchmark)


def _write_tape(out: Path, tape: str, species: Species, rng: np.random.Generator, benchmark: bool) -> None:
    sparse = benchmark and species.sparse
    tape_s, gap_s = species.tape_s * (8 if sparse else 1), tuple(x * (15 if sparse else 1) for x in species.gap_s)
    rate, n = species.rate, round(tape_s * species.rate)
    sos = butter(2, species.band_hz, "bandpass", fs=rate, output="sos")
    sound = _background(rng, rate, n, steep=benchmark)
    level = float(np.sqrt(np.mean(sosfilt(sos, sound) ** 2)))
    own = float(2 ** rng.uniform(-0.45, 0.45))
    snr_range = (benchmark and species.benchmark_snr_db) or species.snr_db
    echoes = _echoes(rng, rate) if species.reverberant else None

    def add(part: Signal, first: int, snr_db: float) -> None:
        energy = np.sum(sosfilt(sos, np.pad(part, (0, rate // 50))) ** 2)
        heard = np.sqrt(energy / part.size)
        if benchmark and echoes is not None:
            part = np.concatenate((part, np.zeros(echoes.size))) + fftconvolve(part, np.append(0.0, echoes))
        sound[first : first + part.size] += (level * 10 ** (snr_db / 20) / heard * part)[: n - first]

    calls, at_s = [], gap_s[1] / 2
    while True:
        dur_s = float(rng.uniform(*species.dur_s))
        part = species.call(rng, rate, dur_s, own)
        if at_s + part.size / rate > tape_s - gap_s[0]:
            break
        first = round(at_s * 1000) * rate // 1000
        snr_db = float(rng.uniform(*snr_range))
        add(part, first, snr_db)
        calls.append((first / rate, (first + part.size) / rate, snr_db))
        at_s += part.size / rate + gap_s[0] + rng.exponential(gap_s[1] - gap_s[0])
    others = anything if sparse else species.distractor
    for _ in range(len(calls) * 10 if sparse else len(calls) // 2):
        part = others(rng, rate, float(rng.uniform(*species.dur_s)), own)
        add(part, int(rng.integers(n - min(n - 1, part.size))), float(rng.uniform(*species.snr_db)))
    sound *= 10 ** (rng.uniform(-30, -6) / 20) / np.abs(sound).max()
    samples = np.round(sound * 32767).astype(np.int16)
    clip = format_clip(tape, 0.0, tape_s)
    for folder, name, start, stop in (
        ("raw_recordings", tape, 0.0, tape_s),
        ("labelled_recordings", clip, 0.0, tape_s),
        *(("segmented", format_hum(HumName(clip, a, b, 1 + int(q > 7) + int(q > 14))), a, b) for a, b, q in calls),
    ):
        (out / folder).mkdir(parents=True, exist_ok=True)
        write_wav(out / folder / name, samples[round(start * rate) : round(stop * rate)], rate, "PCM_16")


def _echoes(rng: np.random.Generator, rate: int) -> Signal:
    """Return what a hard-walled place answers to a click: noise that decays in a third of a second."""
    n = rate // 3
    echoes = rng.standard_normal(n) * np.exp(-6.9 * np.arange(n) / (rate / 3))
    return np.asarray(echoes * 0.35 / np.sqrt(np.sum(echoes**2)))


def _background(rng: np.random.Generator, rate: int, n: int, steep: bool) -> Signal:
    """Return coloured noise that swells and ebbs; the benchmark's has another colour and a drone."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    hz = np.maximum(np.fft.rfftfreq(n, 1 / rate), rate / 2000)
    noise = np.fft.irfft(spectrum * (hz / rate) ** (-0.8 if steep else -0.35), n)
    every = rate * 3
    gain_db = np.interp(np.arange(n), np.arange(n // every + 2) * every, rng.normal(0, 2.5, n // every + 2))
    noise = noise / noise.std() * 10 ** (gain_db / 20)
    if steep:
        noise += 0.05 * tone(np.full(n, rate / 23.0), rate)
    return np.asarray(noise)
