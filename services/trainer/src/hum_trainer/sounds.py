"""Sounds of a paddock, made from nothing: hums, wind, and what is easily taken for a hum.

Every sound is a float64 array of shape (n,) with an RMS of 1, drawn from the generator it is given.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve, lfilter

Signal = NDArray[np.float64]

BAND_HZ = (100.0, 4000.0)  # where hums have their energy; levels are compared here

_TOP = 0.45  # highest partial, as a share of the sample rate


def hum(rng: np.random.Generator, rate: int, n: int, f0_hz: float) -> Signal:
    """Return a hum: a harmonic stack whose pitch and level waver, through three nasal formants.

    Parameters
    ----------
    n
        Samples; the envelope is zero at the first and after the last.
    f0_hz
        Mean fundamental.
    """
    t = np.arange(n) / rate
    x = t / max(t[-1], 1 / rate)
    arch = rng.uniform(-0.10, 0.10) * (x - 0.5) + rng.uniform(-0.02, 0.14) * np.sin(np.pi * x)
    vibrato = rng.uniform(0.004, 0.025) * np.sin(2 * np.pi * (rng.uniform(3, 8) * t + rng.random()))
    tremolo = 1 + rng.uniform(0.05, 0.3) * np.sin(2 * np.pi * (rng.uniform(4, 11) * t + rng.random()))
    formants = np.array([[420, 260, 1.0], [1150, 350, 0.45], [2350, 600, 0.22]])
    formants[:, 0] *= rng.uniform(0.85, 1.15, 3)
    voiced = _harmonics(f0_hz * (1 + arch + vibrato), formants, rate)
    breath = 0.03 * _low_passed(rng.standard_normal(n), 2500, rate)
    attack_s, release_s = rng.uniform(0.02, 0.08), rng.uniform(0.04, 0.12)
    return _unit((voiced + breath) * tremolo * _envelope(n, attack_s, release_s, rate))


def voice(rng: np.random.Generator, rate: int) -> Signal:
    """Return a voice-like sound: a low buzz in syllables with changing vowels, or a call that glides fast."""
    n = round(rng.uniform(0.5, 1.8) * rate)
    t = np.arange(n) / rate
    if rng.random() < 0.6:
        f0_hz = rng.uniform(90, 140) * (1 + 0.08 * np.sin(2 * np.pi * (0.7 * t + rng.random())))
        syllables = 0.5 - 0.5 * np.cos(2 * np.pi * (rng.uniform(4, 6) * t))
        vowels = [np.array([[f1, 90, 1.0], [f2, 120, 0.6], [2600, 200, 0.2]]) for f1, f2 in _VOWELS]
        first, second = rng.permutation(len(vowels))[:2]
        blend = 0.5 + 0.5 * np.sin(2 * np.pi * (rng.uniform(1, 3) * t + rng.random()))
        stack = blend * _harmonics(f0_hz, vowels[first], rate) + (1 - blend) * _harmonics(f0_hz, vowels[second], rate)
        return _unit(stack * syllables * _envelope(n, 0.03, 0.05, rate))
    start_hz, octaves = rng.uniform(250, 700), rng.choice([-1, 1]) * rng.uniform(0.8, 1.5)
    sweep = start_hz * 2 ** (octaves * np.abs(2 * ((rng.uniform(0.8, 2.0) * t) % 1) - 1))
    stack = _harmonics(sweep, np.array([[900, 900, 1.0], [2600, 900, 0.5]]), rate)
    return _unit(stack * _envelope(n, 0.02, 0.05, rate))


_DROPS_PER_S = 60
_VOWELS = ((730, 1090), (270, 2290), (300, 870), (530, 1840))  # Peterson & Barney 1952, /a i u e/, men


def hoof_steps(rng: np.random.Generator, rate: int) -> Signal:
    """Return some steps: dull thuds at a walking pace."""
    gap = rng.uniform(0.35, 0.65)
    steps = int(rng.integers(3, 8))
    out = np.zeros(round((steps * gap + 0.2) * rate))
    t = np.arange(round(0.15 * rate)) / rate
    for step in range(steps):
        thud = np.sin(2 * np.pi * rng.uniform(60, 130) * t) * np.exp(-t / 0.03)
        crunch = _low_passed(rng.standard_normal(t.size), 900, rate) * np.exp(-t / 0.015)
        at = round((step * gap + rng.uniform(0, 0.05)) * rate)
        out[at : at + t.size] += rng.uniform(0.6, 1.0) * (thud + 2 * crunch)
    return _unit(out)


def bird(rng: np.random.Generator, rate: int) -> Signal:
    """Return a bird's phrase: short swept whistles between 2 and 6 kHz, as far as the rate allows."""
    notes = []
    top_hz = min(6000.0, _TOP * rate)
    for _ in range(rng.integers(2, 7)):
        n = round(rng.uniform(0.05, 0.18) * rate)
        from_hz, to_hz = rng.uniform(min(2000.0, top_hz / 2), top_hz, 2)
        phase = 2 * np.pi * np.cumsum(np.linspace(from_hz, to_hz, n)) / rate
        notes += [np.sin(phase) * np.hanning(n), np.zeros(round(rng.uniform(0.03, 0.15) * rate))]
    return _unit(np.concatenate(notes))


def click(rng: np.random.Generator, rate: int) -> Signal:
    """Return a click or two: a gate, a twig."""
    t = np.arange(round(0.05 * rate)) / rate
    once = rng.standard_normal(t.size) * np.exp(-t / rng.uniform(0.001, 0.006))
    again = np.zeros(round(rng.uniform(0, 0.2) * rate))
    return _unit(np.concatenate([once, again, rng.uniform(0, 0.7) * once]))


def rain(rng: np.random.Generator, rate: int, n: int) -> Signal:
    """Return rain on a roof with wind and a machine's drone behind it; RMS about 1."""
    drops = (rng.random(n) < _DROPS_PER_S / rate) * rng.exponential(1, n) * rng.choice([-1, 1], n)
    patter = np.diff(_low_passed(drops, 4000, rate), prepend=0.0)
    t = np.arange(n) / rate
    drone = np.sin(2 * np.pi * 100 * t) + 0.5 * np.sin(2 * np.pi * 300 * t)
    parts = ((wind(rng, rate, n), 0.5), (rng.standard_normal(n), 0.25), (patter, 0.5), (drone, 0.3))
    return _unit(np.sum([share * _unit(part) for part, share in parts], axis=0))


def wind(rng: np.random.Generator, rate: int, n: int) -> Signal:
    """Return wind: low noise with a little rustling, rising and falling within seconds; RMS about 1."""
    white = rng.standard_normal(n)
    noise = _low_passed(white, 150, rate) * np.sqrt(rate / 300) + 0.12 * white
    every_s = 2.0
    gusts_db = rng.normal(0, 3.5, int(n / rate / every_s) + 2)
    gain_db = np.interp(np.arange(n) / rate, np.arange(gusts_db.size) * every_s, gusts_db)
    return np.asarray(noise * 10 ** (gain_db / 20), dtype=np.float64)


def from_afar(rng: np.random.Generator, rate: int, sound: Signal, distance: float) -> Signal:
    """Return `sound` as it arrives over a distance: duller, and with a short reverberation.

    Parameters
    ----------
    distance
        From 0 (at the microphone) to 1 (across the paddock).

    Returns
    -------
    ndarray of float64, shape (n + tail,)
        The direct sound keeps its place and its RMS is 1; the tail decays to −60 dB within 0.15 s.
    """
    direct = _unit(_low_passed(sound, 6000 * 4**-distance, rate))
    t = np.arange(1, round(0.15 * rate)) / rate
    echoes = rng.standard_normal(t.size) * np.exp(-6.9 * t / 0.15) * (t > 0.004)
    echoes *= (0.05 + 0.30 * distance) / np.sqrt(np.sum(echoes**2))
    return (
        np.concatenate([direct, np.zeros(t.size)]) + np.pad(fftconvolve(direct, echoes), (1, 0))[: sound.size + t.size]
    )


def _harmonics(f0_hz: Signal, formants: Signal, rate: int) -> Signal:
    """Sum sines at multiples of a running fundamental; rows of `formants` are frequency, width and gain."""
    phase = 2 * np.pi * np.cumsum(f0_hz) / rate
    partials = np.arange(1, max(2, int(min(_TOP * rate, BAND_HZ[1]) / f0_hz.max()) + 1))
    distance = (partials[:, None] * f0_hz.mean() - formants[:, 0]) / (formants[:, 1] / 2)
    gains = (formants[:, 2] / (1 + distance**2)).sum(axis=1) + 0.02
    return np.asarray(sum(gain * np.sin(k * phase) for k, gain in zip(partials, gains, strict=True)), dtype=np.float64)


def _envelope(n: int, attack_s: float, release_s: float, rate: int) -> Signal:
    out = np.ones(n)
    rise, fall = min(round(attack_s * rate), n // 2), min(round(release_s * rate), n // 2)
    out[:rise] = 0.5 - 0.5 * np.cos(np.pi * np.arange(rise) / max(rise, 1))
    out[n - fall :] = 0.5 + 0.5 * np.cos(np.pi * np.arange(fall) / max(fall, 1))
    return out


def _low_passed(sound: Signal, cutoff_hz: float, rate: int) -> Signal:
    pole = np.exp(-2 * np.pi * min(cutoff_hz, _TOP * rate) / rate)
    return np.asarray(lfilter([1 - pole], [1, -pole], sound), dtype=np.float64)


def _unit(sound: Signal) -> Signal:
    return np.asarray(sound / np.sqrt(np.mean(sound**2)), dtype=np.float64)
