"""Made-up species that are nothing like an alpaca: do the defaults, all taken from the data, fit their calls too?

Every tape is another animal with its own pitch and pace; the benchmark's animals differ from those trained on, are
recorded at another level and before another background. Distractors sound like the species but are no calls.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, sosfilt

from hum_shared.audio import write_wav
from hum_shared.names import HumName, format_clip, format_hum

Signal = NDArray[np.float64]
Maker = Callable[[np.random.Generator, int, float, float], Signal]


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


def tone(hz: Signal, rate: int) -> Signal:
    """Return a sine that runs through frequencies, shape (n,)."""
    return np.asarray(np.sin(2 * np.pi * np.cumsum(hz) / rate))


def stack(f0_hz: Signal, partials: int, tilt: float, rate: int) -> Signal:
    """Return a harmonic stack whose partials fall off as ``k^-tilt``."""
    top = min(partials, int(0.45 * rate / f0_hz.max()))
    return np.asarray(sum(k**-tilt * tone(k * f0_hz, rate) for k in range(1, top + 1)))


def shaped(sound: Signal, rate: int, edge_s: float) -> Signal:
    """Fade in and out over `edge_s` (at most a third of the sound)."""
    n = min(round(edge_s * rate), sound.size // 3)
    ramp = 0.5 - 0.5 * np.cos(np.pi * np.arange(n) / max(n, 1))
    out = sound.copy()
    out[:n] *= ramp
    out[sound.size - n :] *= ramp[::-1]
    return out


def _about(own: float, rng: np.random.Generator) -> float:
    """Vary an animal's own pitch ratio from call to call, by about a semitone."""
    return float(own * 2 ** rng.normal(0, 0.05))


def _t(dur_s: float, rate: int) -> Signal:
    return np.arange(max(8, round(dur_s * rate))) / rate


def whistle(rng: np.random.Generator, rate: int, dur_s: float, own: float) -> Signal:
    """A songbird's whistle: one sweep up or down."""
    own = _about(own, rng)
    t = _t(dur_s, rate)
    hz = 3500 * own * 2 ** (rng.uniform(-0.5, 0.5) * (t / t[-1] - 0.5) + rng.normal(0, 0.08))
    return shaped(tone(hz, rate), rate, 0.015)


def twitter(rng: np.random.Generator, rate: int, dur_s: float, own: float) -> Signal:
    """Fast notes at the whistle's pitch, which are no whistle."""
    t = _t(dur_s * 2, rate)
    hz = 4200 * own * (1 + 0.25 * np.sign(np.sin(2 * np.pi * rng.uniform(25, 40) * t)))
    return shaped(tone(hz, rate) * (np.sin(2 * np.pi * rng.uniform(18, 30) * t) > 0), rate, 0.01)


def trill(rng: np.random.Generator, rate: int, dur_s: float, own: float) -> Signal:
    """A frog's trill: pulses of one pitch."""
    own = _about(own, rng)
    t = _t(dur_s, rate)
    pulses = np.maximum(0, np.sin(2 * np.pi * rng.uniform(22, 30) * own * t)) ** 2
    return shaped(tone(np.full(t.size, 2200 * own) * (1 + 0.03 * t / t[-1]), rate) * pulses, rate, 0.03)


def single_pulse(rng: np.random.Generator, rate: int, dur_s: float, own: float) -> Signal:
    """One or two pulses at the trill's pitch, or a steady tone."""
    t = _t(rng.uniform(0.04, 0.12) if rng.random() < 0.6 else dur_s, rate)
    return shaped(tone(np.full(t.size, 2200 * own * rng.uniform(0.9, 1.2)), rate), rate, 0.01)


def rumble(rng: np.random.Generator, rate: int, dur_s: float, own: float) -> Signal:
    """A very low call of seconds with an arched pitch."""
    own = _about(own, rng)
    t = _t(dur_s, rate)
    f0 = 18 * own * (1 + rng.uniform(0.02, 0.2) * np.sin(np.pi * t / t[-1]))
    return shaped(stack(f0, 8, 0.4, rate), rate, 0.25)


def engine(rng: np.random.Generator, rate: int, dur_s: float, own: float) -> Signal:
    """A steady low hum of a machine that passes."""
    t = _t(dur_s * 2, rate)
    f0 = rng.uniform(25, 45) * (1 + 0.05 * t / t[-1])
    return shaped(stack(f0, 5, 0.8, rate), rate, dur_s / 2)


def chirp(rng: np.random.Generator, rate: int, dur_s: float, own: float) -> Signal:
    """A bat's downward sweep of milliseconds."""
    own = _about(own, rng)
    t = _t(dur_s, rate)
    hz = own * 40_000 * 2 ** (1.1 * (1 - t / t[-1]) ** 2)
    return shaped(tone(hz, rate), rate, dur_s / 6)


def insect(rng: np.random.Generator, rate: int, dur_s: float, own: float) -> Signal:
    """A bush-cricket's noise burst of a few milliseconds, or one of a buzz."""
    t = _t(rng.uniform(1, 12) * dur_s, rate)
    sos = butter(2, (25_000, 60_000), "bandpass", fs=rate, output="sos")
    return shaped(np.asarray(sosfilt(sos, rng.standard_normal(t.size))), rate, dur_s / 6)


def cough(rng: np.random.Generator, rate: int, dur_s: float, own: float) -> Signal:
    """A hoarse bark: noise through two resonances."""
    own = _about(own, rng)
    t = _t(dur_s, rate)
    noise = rng.standard_normal(t.size)
    out = np.zeros(t.size)
    for centre in (700 * own, 1900 * own):
        out += sosfilt(butter(1, (centre * 0.75, centre * 1.3), "bandpass", fs=rate, output="sos"), noise)
    return shaped(out, rate, 0.02)


def knock(rng: np.random.Generator, rate: int, dur_s: float, own: float) -> Signal:
    """A knock on wood, once or several times."""
    t = _t(0.4, rate)
    out = np.zeros(t.size)
    for at in np.cumsum(rng.uniform(0.02, 0.13, rng.integers(1, 4))):
        first = int(at * rate)
        out[first:] += (tone(np.full(t.size, rng.uniform(300, 1500)), rate) * np.exp(-t / 0.01))[: t.size - first]
    return out


def song(rng: np.random.Generator, rate: int, dur_s: float, own: float) -> Signal:
    """A long sung call that rises and falls for many seconds."""
    own = _about(own, rng)
    t = _t(dur_s, rate)
    hz = 600 * own * 2 ** (0.4 * np.sin(2 * np.pi * (rng.uniform(0.1, 0.25) * t + rng.random())))
    return shaped(stack(hz, 4, 1.2, rate), rate, 0.3)


def shout(rng: np.random.Generator, rate: int, dur_s: float, own: float) -> Signal:
    """A short cry in the song's band."""
    t = _t(rng.uniform(0.3, 1.2), rate)
    hz = 700 * own * 2 ** (rng.uniform(-1, 1) * t / t[-1])
    return shaped(stack(hz, 4, 0.8, rate), rate, 0.05)


def grunt(rng: np.random.Generator, rate: int, dur_s: float, own: float) -> Signal:
    """A short low buzz, one of very many."""
    own = _about(own, rng)
    t = _t(dur_s, rate)
    f0 = 95 * own * (1 - 0.15 * t / t[-1]) * (1 + 0.02 * rng.standard_normal())
    return shaped(stack(f0, 14, 0.5, rate), rate, 0.03)


def syllable(rng: np.random.Generator, rate: int, dur_s: float, own: float) -> Signal:
    """One of an individual's three to five kinds of syllable; no other individual has the same."""
    bird = np.random.default_rng(int(own * 1e6) // 10)
    kinds = [
        (bird.integers(4), bird.uniform(600, 4000), bird.uniform(-1, 1), bird.uniform(60, 200))
        for _ in range(bird.integers(3, 6))
    ]
    kind, hz, slope, pace = kinds[rng.integers(len(kinds))]
    t = _t(dur_s, rate)
    x = t / t[-1]
    if kind == 0:
        sound = stack(hz / 4 * 2 ** (slope * (x - 0.5) * 0.4), 12, 0.3, rate)
    elif kind == 1:
        sound = tone(hz * 1.5 * 2 ** (slope * (x - 0.5)), rate)
    elif kind == 2:
        sos = butter(1, (hz, min(2 * hz, 0.45 * rate)), "bandpass", fs=rate, output="sos")
        sound = np.asarray(sosfilt(sos, rng.standard_normal(t.size)))
    else:
        sound = stack(np.full(t.size, hz / 2), 5, 0.6, rate) * (1.1 + np.sin(2 * np.pi * pace * t))
    return shaped(sound, rate, 0.006)


def flutter(rng: np.random.Generator, rate: int, dur_s: float, own: float) -> Signal:
    """Wings and perch: broad soft noise in beats, or a knock."""
    if rng.random() < 0.4:
        return knock(rng, rate, dur_s, own)
    t = _t(rng.uniform(0.2, 0.8), rate)
    beats = np.maximum(0, np.sin(2 * np.pi * rng.uniform(12, 25) * t)) ** 2
    return np.asarray(rng.standard_normal(t.size) * beats)


def repertoire(rng: np.random.Generator, rate: int, dur_s: float, own: float) -> Signal:
    """One of a monkey's four kinds of call, from clicks of 30 ms to whistles of 2 s; each animal has preferences."""
    monkey = np.random.default_rng(int(own * 1e6) // 10)
    kind = rng.choice(4, p=monkey.dirichlet(np.full(4, 1.5)))
    hz = 7000 * _about(own, rng) ** 0.5
    if kind == 0:  # a whistle
        t = _t(rng.uniform(0.5, 2.0), rate)
        return shaped(tone(hz * 2 ** (rng.uniform(0, 0.15) * t / t[-1]), rate), rate, 0.04)
    if kind == 1:  # a trill
        t = _t(rng.uniform(0.2, 0.7), rate)
        return shaped(tone(hz * (0.9 + 0.07 * np.sin(2 * np.pi * rng.uniform(24, 32) * t)), rate), rate, 0.02)
    if kind == 2:  # a click-like sweep
        t = _t(rng.uniform(0.03, 0.06), rate)
        return shaped(tone(hz * 2 ** (1 - t / t[-1]), rate), rate, 0.006)
    notes, every = rng.integers(3, 9), round(rng.uniform(0.09, 0.13) * rate)  # notes with pauses, one call
    t = _t(0.04, rate)
    note = shaped(tone(hz * (0.9 + 0.5 * t / t[-1]), rate), rate, 0.008)
    out = np.zeros((notes - 1) * every + note.size)
    for number in range(notes):
        out[number * every : number * every + note.size] += note
    return out


def cage(rng: np.random.Generator, rate: int, dur_s: float, own: float) -> Signal:
    """Knocks, wings, or a voice in the room."""
    if rng.random() < 0.5:
        return flutter(rng, rate, dur_s, own)
    t = _t(rng.uniform(0.2, 1.0), rate)
    return shaped(stack(rng.uniform(110, 240) * (1 + 0.1 * np.sin(2 * np.pi * 3 * t)), 40, 0.5, rate), rate, 0.05)


def ultrasound(rng: np.random.Generator, rate: int, dur_s: float, own: float) -> Signal:
    """A mouse's ultrasonic syllable: a faint whistle that slides, bends or jumps."""
    t = _t(dur_s, rate)
    x = t / t[-1]
    octaves = rng.uniform(-0.5, 0.5) * x + rng.uniform(-0.25, 0.25) * np.sin(np.pi * x)
    if rng.random() < 0.4:
        octaves += rng.choice([-0.4, 0.4]) * (x > rng.uniform(0.25, 0.75))
    return shaped(tone(65_000 * _about(own, rng) ** 0.5 * 2**octaves, rate), rate, dur_s / 5)


def scratch(rng: np.random.Generator, rate: int, dur_s: float, own: float) -> Signal:
    """Claws on plastic: a few broad clicks."""
    t = _t(0.1, rate)
    out = np.zeros(t.size)
    for at in rng.uniform(0, 0.08, rng.integers(2, 9)):
        first = int(at * rate)
        click = rng.standard_normal(t.size) * np.exp(-t / rng.uniform(0.0005, 0.003))
        out[first:] += click[: t.size - first]
    return out


def moan(rng: np.random.Generator, rate: int, dur_s: float, own: float) -> Signal:
    """A low call that rises a little and falls."""
    t = _t(dur_s, rate)
    f0 = 210 * _about(own, rng) * 2 ** (rng.uniform(0.1, 0.5) * np.sin(np.pi * t / t[-1]) - rng.uniform(0, 0.2))
    return shaped(stack(f0, 12, 0.9, rate), rate, 0.08)


def anything(rng: np.random.Generator, rate: int, dur_s: float, own: float) -> Signal:
    """A sound of some other species, or of people."""
    makers = (whistle, twitter, trill, engine, cough, song, shout, grunt, cage, syllable)
    return makers[rng.integers(len(makers))](rng, rate, dur_s, float(2 ** rng.uniform(-0.5, 0.5)))


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
