"""Made-up corpora of harmonic calls in noise, of any rate, length and pitch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from hum_shared.names import HumName, format_clip, format_hum


def make_calls(
    root: Path,
    *,
    sample_rate: int,
    dur_s: tuple[float, float],
    f0_hz: tuple[float, float],
    harmonics: int,
    gap_s: tuple[float, float],
    n_calls: int = 12,
    tapes: int = 2,
    snr_db: float = 15.0,
    seed: int = 0,
) -> None:
    """Write `labelled_recordings/` and `segmented/`: one recording per tape, calls one after the other.

    Durations are spread evenly over their logarithm, gaps and fundamentals likewise; all harmonics are equally loud.
    """
    rng = np.random.default_rng(seed)
    for folder in ("labelled_recordings", "segmented"):
        (root / folder).mkdir(parents=True)

    def spread(limits: tuple[float, float]) -> float:
        return float(np.exp(rng.uniform(*np.log(limits))))

    for number in range(tapes):
        calls, at_s = [], spread(gap_s) + dur_s[1]
        for _ in range(n_calls):
            calls.append((round(at_s, 4), round(at_s + spread(dur_s), 4)))
            at_s = calls[-1][1] + spread(gap_s)
        total_s = round(at_s + dur_s[1], 4)
        samples = rng.normal(0, 0.02, round(total_s * sample_rate))
        tape = f"{number + 1}_20240101_cut.wav"
        clip = format_clip(tape, 0, total_s)
        for start_s, end_s in calls:
            inside = slice(round(start_s * sample_rate), round(end_s * sample_rate))
            t = np.arange(inside.stop - inside.start) / sample_rate
            f0 = spread(f0_hz)
            tone = sum(np.sin(2 * np.pi * k * f0 * t) for k in range(1, harmonics + 1))
            samples[inside] += 0.02 * 10 ** (snr_db / 20) * tone / np.sqrt(harmonics / 2)
            name = format_hum(HumName(clip, start_s, end_s, 2))
            soundfile.write(root / "segmented" / name, samples[inside], sample_rate, subtype="PCM_16")
        soundfile.write(root / "labelled_recordings" / clip, samples, sample_rate, subtype="PCM_16")
