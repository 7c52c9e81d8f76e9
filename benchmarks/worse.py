"""What is lost where recordings are worse than those trained on: the benchmark's own, with noise, echoes or distance.

Copies are made from the benchmark's recordings and labels, and nothing is tuned on them.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile
from headroom import USUAL, counts_by_threshold, f1, scores_folder, tuned_decoder
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, sosfilt

from hum_evaluator.truth import read_truth
from hum_shared.audio import write_wav
from hum_shared.card import ModelCard
from hum_shared.config.cfg import read_cfg, write_cfg
from hum_shared.config.prediction import PredictionCfg
from hum_shared.files import atomic_path, sha256_json
from hum_trainer.labelled_recordings import LabelledRecording, read_labelled_recordings

Signal = NDArray[np.float64]
Band = tuple[float, float]
THRESHOLDS = (0.05, USUAL)  # the lower one shows whether calls were scored too low or not seen at all
_PEAK = 0.9
_FRAME_S = 0.05
_FAINTEST = 0.1  # of the background: what the power of a call that is covered by it is taken for
_VERSION = 1  # of the copies


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
        Power of the median call, as it is then, over that of the added noise; both in the model's band.
    colour
        The noise's power falls with frequency to this power (from the band's lower end on): 1 pink, 0 white.
    """

    dull: float | None = None
    echo_s: float | None = None
    snr_db: float | None = None
    colour: float = 1.0


CONDITIONS = {
    "nothing (as recorded)": None,
    "pink noise, 20 dB": Condition(snr_db=20),
    "pink noise, 10 dB": Condition(snr_db=10),
    "pink noise, 0 dB": Condition(snr_db=0),
    "white noise, 10 dB": Condition(snr_db=10, colour=0),
    "echoes": Condition(echo_s=0.6),
    "distance": Condition(dull=1 / 16, echo_s=0.3, snr_db=15),
}


def worse(workspace: Path, model: str) -> dict[str, dict[float, float]]:
    """Return F1 at IoU 0.4 of a model with its tuned decoder, by condition and threshold.

    Copies, predict.cfg and score tracks go to `worse/` in the workspace; what is there is used again.
    """
    settings = tuned_decoder(workspace, model)
    usual_scores = scores_folder(workspace, model)
    usual_cfg = next((workspace / "BENCHMARK" / "cfg" / model).glob(f"{usual_scores.name}*/predict.cfg"))
    card_file = workspace / "TRAINING" / "runs" / "models" / model / "models" / "model.json"
    card = ModelCard.model_validate_json(card_file.read_text(encoding="utf-8"))
    band = (float(card.data_opts["fmin"]), float(card.data_opts["fmax"]))
    index = workspace / "data" / "benchmark_corpus" / "corpus_index.json"
    truth, recordings = read_truth(index), read_labelled_recordings(index)
    found = {}
    for words, condition in CONDITIONS.items():
        scores = usual_scores
        if condition is not None:
            copies = write_copies(recordings, workspace / "worse", condition, band)
            scores = copies / model
            cfg = read_cfg(usual_cfg, PredictionCfg).with_values(
                input_file=str(copies / "recordings"), output_dir=str(scores), log_dir=str(scores)
            )
            write_cfg(scores / "predict.cfg", cfg)
            command = [str(Path(sys.executable).parent / "hum-predictor"), "run", str(scores / "predict.cfg")]
            subprocess.run(command, cwd=workspace, check=True)
        counts = np.array(list(counts_by_threshold(scores, settings, truth, THRESHOLDS)))
        found[words] = dict(zip(THRESHOLDS, f1(counts.sum(axis=0)).tolist(), strict=True))
    return found


def write_copies(recordings: Sequence[LabelledRecording], folder: Path, condition: Condition, band: Band) -> Path:
    """Write worse copies, mono, 24 bit, named as the recordings; return the folder that holds their `recordings/`.

    Its name says what they were made of; copies that are there stay.
    """
    made_of = [_VERSION, asdict(condition), band, [recording.sha256 for recording in recordings]]
    out = folder / sha256_json(made_of)[:12]
    copies = [out / "recordings" / recording.name for recording in recordings]
    if all(copy.exists() for copy in copies):
        return out
    sounds, powers = [], []
    for recording in recordings:
        sound, rate = soundfile.read(recording.path, always_2d=True)
        sounds.append(changed(sound.mean(axis=1), rate, condition, _random(recording, "echo")))
        powers += call_powers(sounds[-1], rate, recording.calls, band)
    for recording, copy, sound in zip(recordings, copies, sounds, strict=True):
        rate = recording.sample_rate
        if condition.snr_db is not None:
            power = np.median(powers) * 10 ** (-condition.snr_db / 10)
            sound = sound + np.sqrt(power) * noise(
                len(sound), rate, condition.colour, band, _random(recording, "noise")
            )
        sound = sound * min(1.0, _PEAK / np.abs(sound).max())
        with atomic_path(copy) as temporary:
            write_wav(temporary, sound, rate, "PCM_24")
    return out


def changed(sound: Signal, rate: int, condition: Condition, rng: np.random.Generator) -> Signal:
    """Return a recording dull and with echoes, shape (n,) as it is; noise is not added."""
    if condition.dull is not None:
        sound = np.asarray(sosfilt(butter(1, condition.dull * rate, fs=rate, output="sos"), sound))
    if condition.echo_s is not None:
        n = round(1.5 * condition.echo_s * rate)
        echo = rng.standard_normal(n) * 10 ** (-3 * np.arange(n) / (condition.echo_s * rate))
        sound = sound + np.sqrt(0.5) * fftconvolve(sound, echo / np.linalg.norm(echo))[: len(sound)]
    return sound


def call_powers(sound: Signal, rate: int, calls: NDArray[np.float64], band: Band) -> list[float]:
    """Return the mean power of each call in a band, less that of the recording's background (median of 50 ms)."""
    power = in_band(sound, rate, band) ** 2
    frame = round(_FRAME_S * rate)
    background = float(np.median(power[: len(power) // frame * frame].reshape(-1, frame).mean(axis=1)))
    inside = [power[slice(*np.rint(call * rate).astype(int))].mean() for call in calls]
    return [max(float(mean) - background, _FAINTEST * background) for mean in inside]


def noise(n: int, rate: int, colour: float, band: Band, rng: np.random.Generator) -> Signal:
    """Return noise whose mean power in a band is 1, shape (n,)."""
    hz = np.fft.rfftfreq(n, 1 / rate)
    spectrum = np.fft.rfft(rng.standard_normal(n)) * np.maximum(hz, max(band[0], 1.0)) ** (-colour / 2)
    sound = np.fft.irfft(spectrum, n)
    return np.asarray(sound / np.sqrt(np.mean(in_band(sound, rate, band) ** 2)))


def in_band(sound: Signal, rate: int, band: Band) -> Signal:
    """Return what lies in a band of frequencies (Hz), shape (n,) as it is."""
    hz = np.fft.rfftfreq(len(sound), 1 / rate)
    spectrum = np.fft.rfft(sound)
    return np.asarray(np.fft.irfft(np.where((hz >= band[0]) & (hz <= band[1]), spectrum, 0), len(sound)))


def _random(recording: LabelledRecording, purpose: str) -> np.random.Generator:
    return np.random.default_rng([int(recording.sha256[:16], 16), *purpose.encode()])
