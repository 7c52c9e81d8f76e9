"""The picture of a stretch of a recording: spectrogram, true calls and selections, score curve below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hum_evaluator.spectrogram import shown_range_db, spectrogram_db
from hum_evaluator.stretch import Curve, Mark, Sound, find_scores, marks_within, read_curve, read_sound
from hum_evaluator.truth import read_truth
from hum_shared import names
from hum_shared.config.cfg import validate
from hum_shared.config.decoding import DecoderSettings
from hum_shared.decoders.candidates import reached_score
from hum_shared.errors import InputError
from hum_shared.files import atomic_path
from hum_shared.index import PredictionEntry, PredictionIndex, read_index
from hum_shared.scores import read_score_meta

FORMATS = (".png", ".svg")

_Style = Literal["-", "--"]

_COLUMNS = 1400
_LONGEST_S = 600.0
_DEFAULT_MAX_HZ = 8000.0
_TRUTH, _SELECTED, _SCORE = "#4dd2ff", "#ffb000", "#d94801"


@dataclass(frozen=True)
class Shown:
    """What is drawn over and under the spectrogram."""

    curve: Curve
    selections: Sequence[Mark]
    calls: Sequence[Mark]
    counts_from: float | None
    max_hz: float


def plot(
    recording: Path,
    scores_dir: Path,
    out: Path,
    index_file: Path | None = None,
    gt_file: Path | None = None,
    start_s: float = 0.0,
    end_s: float | None = None,
) -> Path:
    """Draw a stretch of a recording into a PNG or SVG file.

    Parameters
    ----------
    scores_dir
        Folder of its score track (or text log).
    index_file
        An index whose selections are drawn; None draws none.
    gt_file
        A corpus index whose calls are drawn; None draws none.
    start_s, end_s
        Recording time; None is the recording's end. At most ten minutes.

    Raises
    ------
    InputError
        When a file is missing or broken, the stretch lies outside the recording or is too long, or the picture's
        suffix is not one of `FORMATS`.
    """
    if out.suffix.lower() not in FORMATS:
        raise InputError(f"{out}: pictures end in {' or '.join(FORMATS)}. Name it accordingly.")
    if end_s is not None and end_s <= start_s:
        raise InputError(f"--end {end_s:g} is not after --start {start_s:g}")
    source = find_scores(scores_dir, recording.name)
    if end_s is not None and end_s - start_s > _LONGEST_S:
        raise InputError(f"{end_s - start_s:g} s are too long for one picture (at most {_LONGEST_S:g} s)")
    sound = read_sound(recording, start_s, end_s if end_s is not None else start_s + _LONGEST_S)
    max_hz = _DEFAULT_MAX_HZ
    if not source.is_log:
        max_hz = 1.25 * float(read_score_meta(source.path).front_end.get("fmax", _DEFAULT_MAX_HZ))
    index = read_index(index_file, PredictionIndex) if index_file else None
    shown = Shown(
        curve=read_curve(source, sound.start_s, sound.end_s),
        selections=marks_within(selection_marks(index, recording.name) if index else (), sound.start_s, sound.end_s),
        calls=marks_within(call_marks(gt_file, recording.name) if gt_file else (), sound.start_s, sound.end_s),
        counts_from=counting_score(index) if index else None,
        max_hz=max_hz,
    )
    # SVG carries random ids and the time of day otherwise: the same input gives the same bytes.
    with rc_context({"svg.hashsalt": "hum", "svg.fonttype": "none"}), atomic_path(out) as temporary:
        drawn(sound, shown, recording.name).savefig(temporary, dpi=130, metadata=_without_date(out))
    return out


def drawn(sound: Sound, shown: Shown, title: str) -> Figure:
    """Return the figure: spectrogram with marks above, scores below, on one time axis."""
    figure = Figure(figsize=(11, 5.2), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    level = spectrogram_db(sound.samples, sound.rate, _COLUMNS, shown.max_hz)
    darkest, brightest = shown_range_db(level)
    top_khz = min(shown.max_hz, sound.rate / 2) / 1000
    extent = (sound.start_s, sound.end_s, 0.0, top_khz)
    above.imshow(
        level, origin="lower", aspect="auto", extent=extent, cmap="magma", vmin=darkest, vmax=brightest,
        interpolation="nearest", rasterized=True,
    )  # fmt: skip
    _draw_marks(above, shown.calls, (0.88, 0.99), _TRUTH, "-")
    _draw_marks(above, shown.selections, (0.02, 0.86), _SELECTED, "--")
    above.set_ylabel("kHz")
    above.set_title(title.replace("$", r"\$"), loc="left", fontsize=10)
    handles = [
        *_legend(shown.calls, _TRUTH, "-", "true call"),
        *_legend(shown.selections, _SELECTED, "--", "selection"),
    ]
    if handles:
        above.legend(handles=handles, loc="upper right", fontsize=8, framealpha=0.8)
    below.plot(shown.curve.time_s, shown.curve.p, color=_SCORE, linewidth=1.2)
    if shown.counts_from is not None:
        below.axhline(shown.counts_from, color="0.35", linewidth=0.8, linestyle=":")
        below.annotate(
            f"counts from {shown.counts_from:.3g}", (sound.start_s, shown.counts_from), fontsize=7, va="bottom"
        )
    below.set(
        ylim=(-0.02, 1.02), xlim=(sound.start_s, sound.end_s), ylabel="score", xlabel="s from the recording's start"
    )
    return figure


def selection_marks(index: PredictionIndex, recording: str) -> list[Mark]:
    """Return the selections of one recording in recording time; noise is none."""
    return [
        Mark(entry.start_s, entry.end_s, entry.label or "")
        for entry in index.entries
        if _is_of(entry, recording) and (entry.label or "").lower() != "noise"
    ]


def call_marks(gt_file: Path, recording: str) -> list[Mark]:
    """Return the true calls of a recording's tape, in time of the recording."""
    parsed = names.parse_recording(recording)
    return [
        Mark(
            call.raw_start_s - parsed.offset_s,
            call.raw_end_s - parsed.offset_s,
            "" if call.quality is None else f"Q{call.quality}",
        )
        for call in read_truth(gt_file).calls.get(parsed.tape, ())
    ]


def counting_score(index: PredictionIndex) -> float | None:
    """Return the score that a selection of an index had to reach, as its threshold means it.

    None where the index does not say, or where no score of a single instant decides: where the confidence is made of
    mean scores, or of smoothed ones.
    """
    said = index.meta.model_extra or {}
    if "decoder_settings" in said:
        return reached_score(validate(DecoderSettings, said["decoder_settings"], "decoder_settings"))
    value = said.get("threshold")
    return float(value) if isinstance(value, int | float) else None


def _is_of(entry: PredictionEntry, recording: str) -> bool:
    one, other = (names.composed(names.recording_stem(name)) for name in (entry.recording_name, recording))
    return one == other


def _draw_marks(axes: Axes, marks: Sequence[Mark], band: tuple[float, float], colour: str, style: _Style) -> None:
    low, high = axes.get_ylim()
    bottom, top = (low + share * (high - low) for share in band)
    for mark in marks:
        axes.fill_between(
            [mark.start_s, mark.end_s], bottom, top, facecolor="none", edgecolor=colour, linewidth=1.4, linestyle=style
        )
        if mark.text:
            axes.annotate(mark.text, (mark.start_s, top), color=colour, fontsize=7, va="top", ha="left")


def _legend(marks: Sequence[Mark], colour: str, style: _Style, text: str) -> list[object]:
    from matplotlib.lines import Line2D

    return [Line2D([], [], color=colour, linestyle=style, label=text)] if marks else []


def _without_date(out: Path) -> dict[str, str | None]:
    return {"Date": None} if out.suffix.lower() == ".svg" else {"Software": "hum-evaluator"}
