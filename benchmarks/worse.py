"""What is lost where recordings are worse than those trained on: the benchmark's own, with noise, echoes or distance.

Nothing is tuned by these recordings; they are made from the benchmark's, by the truth only in how loud its calls are.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from headroom import USUAL, counts_by_threshold, f1, scores_folder, tuned_decoder
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, sosfilt

from hum_evaluator.truth import read_truth
from hum_shared.audio import write_wav
from hum_shared.config.cfg import read_cfg, write_cfg
from hum_shared.config.prediction import PredictionCfg
from hum_trainer.labelled_recordings import LabelledRecording, read_labelled_recordings

Signal = NDArray[np.float64]
THRESHOLDS = (0.05, USUAL)  # the lower one shows whether calls were scored too low or not seen at all
_PEAK = 0.9
_SEED = 0


@dataclass(frozen=True)
class Condition:
    """How a recording is made worse; what is None is left as it is.

    Attributes
    ----------
    dull
        Levels fall by 6 dB per octave above this share of the sample rate, as with distance.
    echo_s
        Echoes fall by 60 dB in this time; together they are 3 dB below the sound.
    snr_db
        Mean power of the median call, as it is then, over that of the added noise.
    colour
        The noise's power falls with frequency to this power: 1 pink, 0 white.
    """

    dull: float | None = None
    echo_s: float | None = None
    snr_db: float | None = None
    colour: float = 1.0


CONDITIONS = {
    "as recorded": None,
    "pink noise, 20 dB": Condition(snr_db=20),
    "pink noise, 10 dB": Condition(snr_db=10),
    "pink noise, 0 dB": Condition(snr_db=0),
    "white noise, 10 dB": Condition(snr_db=10, colour=0),
    "echoes": Condition(echo_s=0.6),
    "far": Condition(dull=1 / 16, echo_s=0.3, snr_db=15),
}


def worse(workspace: Path, model: str) -> dict[str, dict[float, float]]:
    """Return F1 at IoU 0.4 of a model with its tuned decoder, by condition and threshold.

    Recordings, predict.cfg and score tracks go to `worse/` in the workspace.
    """
    settings = tuned_decoder(workspace, model)
    usual_scores = scores_folder(workspace, model)
    usual_cfg = next((workspace / "BENCHMARK" / "cfg" / model).glob(f"{usual_scores.name}*/predict.cfg"))
    index = workspace / "data" / "benchmark_corpus" / "corpus_index.json"
    truth, recordings = read_truth(index), read_labelled_recordings(index)
    found = {}
    for words, condition in CONDITIONS.items():
        scores = usual_scores
        if condition is not None:
            folder = workspace / "worse" / words.replace(", ", "_").replace(" ", "_")
            write_worse(recordings, folder / "recordings", condition)
            scores = folder / model / "scores"
            cfg = read_cfg(usual_cfg, PredictionCfg).with_values(
                input_file=str(folder / "recordings"), output_dir=str(scores), log_dir=str(scores)
            )
            write_cfg(folder / model / "predict.cfg", cfg)
            command = [str(Path(sys.executable).parent / "hum-predictor"), "run", str(folder / model / "predict.cfg")]
            subprocess.run(command, cwd=workspace, check=True)
        counts = np.array(list(counts_by_threshold(scores, settings, truth, THRESHOLDS)))
        found[words] = dict(zip(THRESHOLDS, f1(counts.sum(axis=0)).tolist(), strict=True))
    return found


def write_worse(recordings: Sequence[LabelledRecording], folder: Path, condition: Condition) -> None:
    """Write worse copies of recordings, mono, 24 bit, under the same names; those that are there stay."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, recording in enumerate(recordings):
        if (folder / recording.name).exists():
            continue
        sound, rate = soundfile.read(recording.path, always_2d=True)
        rng = np.random.default_rng([_SEED, number])
        calls = [slice(*np.rint(call * rate).astype(int)) for call in recording.calls]
        out = made_worse(sound.mean(axis=1), rate, calls, condition, rng)
        out *= min(1.0, _PEAK / np.abs(out).max())
        temporary = folder / f".{recording.name}"
        write_wav(temporary, out, rate, "PCM_24")
        temporary.replace(folder / recording.name)


def made_worse(
    sound: Signal, rate: int, calls: Sequence[slice], condition: Condition, rng: np.random.Generator
) -> Signal:
    """Return a worse copy of a recording, shape (n,).

    Parameters
    ----------
    calls
        Where its calls are; without any no noise is added.
    """
    out = sound
    if condition.dull is not None:
        out = np.asarray(sosfilt(butter(1, condition.dull * rate, fs=rate, output="sos"), out))
    if condition.echo_s is not None:
        n = round(1.5 * condition.echo_s * rate)
        echo = rng.standard_normal(n) * 10 ** (-3 * np.arange(n) / (condition.echo_s * rate))
        out = out + np.sqrt(0.5) * fftconvolve(out, echo / np.linalg.norm(echo))[: len(out)]
    if condition.snr_db is not None and calls:
        power = np.median([np.mean(out[call] ** 2) for call in calls])
        out = out + np.sqrt(power * 10 ** (-condition.snr_db / 10)) * _noise(len(out), condition.colour, rng)
    return out


def _noise(n: int, colour: float, rng: np.random.Generator) -> Signal:
    """Return noise with an RMS of 1, shape (n,)."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    noise = np.fft.irfft(spectrum * np.arange(1, len(spectrum) + 1) ** (-colour / 2), n)
    return np.asarray(noise / noise.std())
