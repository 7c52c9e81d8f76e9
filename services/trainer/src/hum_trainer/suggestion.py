"""Settings that fit a corpus's calls, each with the reason for it; nothing here knows a species."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from rich.table import Table

from hum_shared.config.training import FROM_DATA, TrainingCfg
from hum_shared.errors import CfgError
from hum_trainer.call_measures import CallMeasures, measure_calls, short_duration_s, usual_duration_s
from hum_trainer.labelled_recordings import LabelledRecording

N_FREQ_BINS = 64

_FRAMES_PER_CALL = 25  # of the usual call; fewer for calls of more than 0.1 s, see `_frame_hop_s`
_LONG_CALL_S = 0.1
_LONG_CALL_POWER = 0.4  # a call ten times as long gets a hop of 2.5 times the length
_FRAME_HOP_S = (0.001, 0.020)
_LONG_WINDOW_POWER = 0.6  # … and a window of 4 times the length
_HOPS_PER_WINDOW = 10
_STEPS_PER_WINDOW = 10
_BINS_ACROSS = 12  # bins in the band that calls are heard in
_BINS_TO_LOWEST = 3  # bins between 0 Hz and the lowest frequency: harmonics lie at least that far apart
_MARGIN_BELOW, _MARGIN_ABOVE = 2**0.5, 2**0.25  # room costs bins: an octave holds few of them below, many above
_RATE_DIVISORS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
_SHORT, _CLOSE = 0.02, 0.05  # shares of calls and gaps that are taken for the shortest
_ODD_CALLS = 0.2  # share of the calls that may have been recorded at lower rates than the model's band needs
_NYQUIST_ROOM = 2.2  # sample rate over fmax: the resampler's filter needs a little room

Number = int | float


@dataclass(frozen=True)
class Suggested:
    """One setting.

    Attributes
    ----------
    key
        Name in a cfg, or of the decoder's setting.
    value
        In `unit`.
    reason
        One line for people.
    """

    key: str
    value: Number
    unit: str
    reason: str


@dataclass(frozen=True)
class Suggestion:
    """Settings for a corpus.

    Attributes
    ----------
    sr
        Sample rate of the model, Hz.
    n_fft, hop_length
        STFT length and hop, samples at `sr`; powers of two.
    n_freq_bins
        Frequency bins of the input.
    fmin, fmax
        Hz.
    sequence_len
        Window of the recipe `windows`, ms.
    score_hop
        Step from window to window when recordings are scored, ms.
    min_duration_s, min_gap_s
        Shortest selection, and longest gap that is bridged, when scores are decoded.
    settings
        All of them with units and reasons.
    """

    sr: int
    n_fft: int
    hop_length: int
    n_freq_bins: int
    fmin: float
    fmax: float
    sequence_len: int
    score_hop: int
    min_duration_s: float
    min_gap_s: float
    settings: tuple[Suggested, ...]


def suggest(recordings: Sequence[LabelledRecording], given: Mapping[str, Number] | None = None) -> Suggestion:
    """Measure a corpus's calls and return settings that fit them; see :func:`propose`.

    Raises
    ------
    AudioError
        When a recording cannot be read.
    """
    return propose(measure_calls(recordings), given)


def propose(measures: CallMeasures, given: Mapping[str, Number] | None = None) -> Suggestion:
    """Return settings that fit measured calls.

    Parameters
    ----------
    given
        Values of training cfg keys that stand fast; the others are chosen to go with them.
    """
    chosen = _Choice(given or {})
    durations = measures.durations_s
    median_s = float(np.median(durations))
    # Nearly all calls were recorded at this rate; a few odd recordings must not cost the others their upper band.
    of_calls = np.repeat(measures.sample_rates, measures.n_calls)
    lowest_rate = int(np.quantile(of_calls, _ODD_CALLS, method="lower"))

    if measures.low_hz is None or measures.high_hz is None:
        why = "calls rise above their surroundings nowhere: the whole band"
        low_hz, high_hz = 0.0, lowest_rate / 2
        fmin = chosen.number("fmin", 0.0, "Hz", why)
        fmax = chosen.number("fmax", min(high_hz, _half_of_given_rate(given)), "Hz", why)
    else:
        low_hz, high_hz = measures.low_hz, min(measures.high_hz, lowest_rate / 2)
        heard = f"calls are heard from {low_hz:.0f} to {high_hz:.0f} Hz; half an octave more below, a quarter above"
        if low_hz <= measures.resolution_hz:
            fmin = chosen.number("fmin", 0.0, "Hz", f"calls reach down to the lowest band, {low_hz:.0f} Hz")
        else:
            fmin = chosen.number("fmin", _two_digits(low_hz / _MARGIN_BELOW, math.floor), "Hz", heard)
        top_hz = min(_two_digits(high_hz * _MARGIN_ABOVE, math.ceil), lowest_rate / 2, _half_of_given_rate(given))
        fmax = chosen.number("fmax", top_hz, "Hz", heard)

    rates = ", ".join(f"{n} × {rate} Hz" for rate, n in sorted(Counter(measures.sample_rates).items()))
    sr = chosen.whole("sr", _sample_rate(lowest_rate, fmax), "Hz", f"twice fmax and some room; recordings: {rates}")

    usual_s, short_s = usual_duration_s(durations), short_duration_s(durations)
    hop_samples = _power_of_two(_frame_hop_s(usual_s) * sr)
    hop_s = hop_samples / sr
    frames = f"{median_s / hop_s:.0f} frames in the median call of {median_s:.3g} s"
    if usual_s < median_s:
        frames += f", {short_s / hop_s:.0f} in calls of {short_s:.3g} s; a tenth are shorter"
    hop = chosen.whole("hop_length", hop_samples, "samples", f"{hop_s * 1000:.3g} ms: {frames}")
    wanted_hz = [max(high_hz - low_hz, 1e-6) / _BINS_ACROSS, *([low_hz / _BINS_TO_LOWEST] if low_hz > 0 else [])]
    fitting = max(4 * hop, 2 ** math.ceil(math.log2(max(2.0, sr / min(wanted_hz)))))
    longest = max(2 * hop, 2 ** math.floor(math.log2(max(2.0, usual_s / 2 * sr))))
    n_fft = chosen.whole(
        "n_fft",
        max(16, min(fitting, longest)),
        "samples",
        f"four hops, {_BINS_TO_LOWEST} bins up to {low_hz:.0f} Hz and {_BINS_ACROSS} in the band at least; "
        "at most half a usual call",
    )
    bins = chosen.whole("n_freq_bins", N_FREQ_BINS, "bins", "enough for a call's shape, few enough to be fast")

    window_s = min(median_s, _LONG_CALL_S * (median_s / _LONG_CALL_S) ** _LONG_WINDOW_POWER)
    window_s = max(window_s, (n_fft + (_HOPS_PER_WINDOW - 1) * hop) / sr)
    sequence_len = chosen.whole(
        "sequence_len",
        max(1, round(_two_digits(window_s * 1000, round))),
        "ms",
        f"about a call, shorter where calls are long (median {median_s:.3g} s), at least {_HOPS_PER_WINDOW} frames",
    )
    score_hop = chosen.whole(
        "score_hop",
        max(1, round(_two_digits(sequence_len / _STEPS_PER_WINDOW, round))),
        "ms",
        f"a {_STEPS_PER_WINDOW}th of the window: edges are found to within half of it",
    )
    min_duration_s, gap_s = decoding_limits(durations, measures.gaps_s)
    shortest_s = np.quantile(durations, _SHORT)
    chosen.number("min_duration_s", min_duration_s, "s", f"half of the shortest {_SHORT:.0%}, {shortest_s:.3g} s")
    why = "half of the shortest call: no recording holds two calls"
    if len(measures.gaps_s):
        closest_s = np.quantile(measures.gaps_s, _CLOSE)
        why = f"half of the closest {_CLOSE:.0%} of gaps, {closest_s:.3g} s; at most half a call"
    chosen.number("min_gap_s", gap_s, "s", why)
    return Suggestion(
        sr, n_fft, hop, bins, fmin, fmax, sequence_len, score_hop, min_duration_s, gap_s, tuple(chosen.settings)
    )


def suggestion_table(suggestion: Suggestion) -> Table:
    """Return the settings with units and reasons as a table for people."""
    table = Table(box=None, pad_edge=False)
    table.add_column("setting", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    table.add_column("reason", overflow="fold")
    for setting in suggestion.settings:
        table.add_row(setting.key, f"{setting.value:.10g}", setting.unit, setting.reason)
    return table


def cfg_lines(suggestion: Suggestion) -> str:
    """Return the settings as lines of a training cfg and, after a comment, of an eval.cfg."""
    line = {setting.key: f"{setting.key}={setting.value:.10g}\n" for setting in suggestion.settings}
    training = "".join(text for key, text in line.items() if key in FROM_DATA)
    decoding = "".join(text for key, text in line.items() if key not in FROM_DATA)
    return f"# alpaca_server.cfg\n{training}# eval.cfg\n{decoding}"


def decoding_limits(durations_s: NDArray[np.float64], gaps_s: NDArray[np.float64]) -> tuple[float, float]:
    """Return the shortest selection and the longest gap to bridge that fit calls, seconds.

    Half of the shortest 2 % of calls, and half of the closest 5 % of gaps, but at most half a median call.

    Parameters
    ----------
    durations_s, gaps_s
        Shapes (n,), n ≥ 1, and (m,).
    """
    shortest_s = float(np.quantile(durations_s, _SHORT)) / 2
    widest_s = shortest_s
    if len(gaps_s):
        widest_s = min(float(np.quantile(gaps_s, _CLOSE)), float(np.median(durations_s))) / 2
    return _two_digits(shortest_s, round), _two_digits(widest_s, round)


def complete(cfg: TrainingCfg, recordings: Sequence[LabelledRecording]) -> tuple[TrainingCfg, tuple[Suggested, ...]]:
    """Return a cfg with what it leaves to its recipe and to the data filled in, and the latter with their reasons.

    Raises
    ------
    CfgError
        When a rule is broken by what is filled in together with what the cfg says.
    AudioError
        When a recording cannot be read.
    """
    cfg = _filled_in(cfg, cfg.recipe_defaults, f"settings of recipe {cfg.recipe} do")
    left = cfg.left_to_data
    if not left:
        return cfg, ()
    given = {key: getattr(cfg, key) for key in FROM_DATA - left}
    found = tuple(setting for setting in suggest(recordings, given).settings if setting.key in left)
    values = {setting.key: setting.value for setting in found}
    return _filled_in(cfg, values, "settings taken from the corpus do"), found


def _filled_in(cfg: TrainingCfg, values: Mapping[str, Any], words: str) -> TrainingCfg:
    try:
        return cfg.with_values(**values)
    except ValidationError as error:
        reason = str(error.errors(include_url=False)[0]["msg"])
        raise CfgError(f"{words} not go with those of the cfg: {reason}") from None


class _Choice:
    """Collects settings; a value that is given wins over a proposed one."""

    def __init__(self, given: Mapping[str, Number]) -> None:
        self._given = given
        self.settings: list[Suggested] = []

    def whole(self, key: str, value: int, unit: str, reason: str) -> int:
        return int(self.number(key, value, unit, reason))

    def number(self, key: str, value: Number, unit: str, reason: str) -> Number:
        if key in self._given:
            value, reason = self._given[key], "given"
        self.settings.append(Suggested(key, value, unit, reason))
        return value


def _frame_hop_s(usual_s: float) -> float:
    """Return the frame hop: 1/25 of a usual call of up to 0.1 s, growing more slowly for longer ones.

    Edges of long calls are no less sharp in proportion: 1 s gives 10 ms rather than 40.
    """
    hop_s = min(usual_s, _LONG_CALL_S * math.pow(usual_s / _LONG_CALL_S, _LONG_CALL_POWER)) / _FRAMES_PER_CALL
    return min(max(hop_s, _FRAME_HOP_S[0]), _FRAME_HOP_S[1])


def _sample_rate(lowest_rate: int, fmax: float) -> int:
    """Return the lowest rate that holds `fmax` among the recordings' own and its whole parts."""
    fitting = [
        lowest_rate // divisor
        for divisor in _RATE_DIVISORS
        if lowest_rate % divisor == 0 and lowest_rate / divisor >= _NYQUIST_ROOM * fmax
    ]
    return min(fitting, default=max(lowest_rate, math.ceil(2 * fmax)))


def _half_of_given_rate(given: Mapping[str, Number] | None) -> float:
    return given["sr"] / 2 if given and "sr" in given else math.inf


def _power_of_two(samples: float) -> int:
    return int(2 ** max(0, round(math.log2(max(1.0, samples)))))


def _two_digits(value: float, rounding: Callable[[float], int]) -> float:
    """Round to two significant digits, up, down or to the nearest."""
    if value <= 0:
        return 0.0
    step = math.pow(10, math.floor(math.log10(value)) - 1)
    # The second rounding takes the dust off: 3 × 0.1.
    digits: int = rounding(round(value / step, 9))
    return float(f"{digits * step:.10g}")
