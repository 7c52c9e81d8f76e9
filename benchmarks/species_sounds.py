"""Sounds of made-up species and of what else is heard: made of chance, rate, duration and an own pitch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

Signal = NDArray[np.float64]
Maker = Callable[[np.random.Generator, int, float, float], Signal]


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
