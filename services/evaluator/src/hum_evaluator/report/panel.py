"""One run in detail: its tapes, errors in time, edges, rates, qualities, and its gallery."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from markupsafe import Markup

from hum_evaluator.metrics import QUALITIES, Row
from hum_evaluator.report import charts, gallery, rates, words
from hum_evaluator.report.events import NEVER_SCORED, Event, edge_errors_ms
from hum_evaluator.report.runs import Layer
from hum_evaluator.review_sheet import probability
from hum_evaluator.stretch import Curve, Mark, marks_within, read_curve, read_sound
from hum_evaluator.tracks import Source
from hum_shared import heard, names
from hum_shared.errors import HumError
from hum_shared.intervals import duration
from hum_shared.recordings import RecordingFolder
from hum_shared.scores import read_score_meta

MOST_STRIPS = 100
_DEFAULT_MAX_HZ = 6000.0
_HEARD_CANDIDATES = 4  # per miss that is shown: scores are read for these alone


@dataclass(frozen=True)
class TapeLine:
    """A tape in the table and on the map of errors; rates are None without ground truth."""

    tape: str
    hours: float | None
    row: Row | None
    n_selections: int
    strip: Markup


@dataclass(frozen=True)
class Item:
    """An event in the gallery: what it is in words, picture and sound (None where the recording is not at hand)."""

    title: str
    facts: tuple[str, ...]
    picture: Markup | None
    sound: str | None
    gain_db: float
    length_s: float


@dataclass(frozen=True)
class Panel:
    """Everything the page shows of one run."""

    name: str
    with_truth: bool
    sentences: list[str]
    tapes: list[TapeLine]
    n_more_tapes: int
    edges: list[Markup]
    rates_label: str
    hourly: Markup | None
    by_tape: Markup | None
    qualities: list[tuple[str, int, int, dict[str, int]]]
    reasons: list[tuple[str, int]]
    edge_medians: tuple[float, float] | None
    confidence: Markup | None
    groups: list[tuple[str, str, list[Item]]]


@dataclass
class Media:
    """Where a run's recordings and scores are, and how many bytes the page may still take.

    Attributes
    ----------
    recordings
        None where they are not at hand.
    sources
        Recording → its scores.
    left
        Bytes; pictures and sounds beyond are left out and counted in `n_left_out`.
    problems
        Recording → why it could not be read.
    """

    recordings: RecordingFolder | None
    sources: Mapping[str, Source]
    left: int
    n_left_out: int = 0
    problems: dict[str, str] = field(default_factory=dict)


def panel(layer: Layer, found: Sequence[Event], tapes: Mapping[str, Row], media: Media, count: int) -> Panel:
    """Return the panel of a run.

    Parameters
    ----------
    found
        What became of its calls and selections.
    tapes
        Tape → its measures; empty without ground truth.
    count
        Events per group of the gallery.
    """
    with_truth = layer.row is not None
    scored = layer.index.meta.recordings or []
    label, hourly = rates.by_hour(found, scored)
    starts, ends = edge_errors_ms(found)
    lines = _tape_lines(layer, found, tapes)
    sure = [p for event in found if event.entry is not None and (p := probability(event.entry)) is not None]
    groups = gallery.choose(found, count, _highest_scores(found, media.sources, count))
    return Panel(
        name=layer.name,
        with_truth=with_truth,
        sentences=words.where_it_fails(found, tapes) if with_truth else [],
        tapes=lines[:MOST_STRIPS],
        n_more_tapes=max(0, len(lines) - MOST_STRIPS),
        edges=charts.edge_histograms(starts, ends) if starts else [],
        edge_medians=(float(np.median(starts)), float(np.median(ends))) if starts else None,
        rates_label=label,
        hourly=charts.rates_over_time(hourly, label, with_truth) if len(hourly) > 1 else None,
        by_tape=charts.rates_by_tape(rates.by_tape(found, scored)) if with_truth and scored else None,
        qualities=_qualities(found) if with_truth else [],
        reasons=_reasons(found),
        confidence=charts.confidence_histogram(sure) if sure else None,
        groups=[
            (group.title, group.hint, [_item(event, found, layer, media) for event in group.events]) for group in groups
        ],
    )


def _tape_lines(layer: Layer, found: Sequence[Event], tapes: Mapping[str, Row]) -> list[TapeLine]:
    lengths_s: dict[str, float] = {}
    for recording in layer.index.meta.recordings or ():
        lengths_s[recording.tape] = max(lengths_s.get(recording.tape, 0.0), recording.offset_s + recording.dur_s)
    hours = {tape: duration(parts) / 3600 for tape, parts in heard.by_tape(layer.index.meta.recordings or ()).items()}
    by_tape: dict[str, list[Event]] = {tape: [] for tape in (*lengths_s, *tapes)}
    for event in found:
        by_tape.setdefault(event.tape, []).append(event)
    lines = []
    for tape, events in by_tape.items():
        length_s = max([lengths_s.get(tape, 0.0), *(event.end_s for event in events)])
        strip = charts.timeline(events, length_s, layer.row is not None)
        n_selections = sum(event.entry is not None for event in events)
        lines.append(TapeLine(tape, hours.get(tape), tapes.get(tape), n_selections, strip))
    return sorted(lines, key=lambda line: (-_errors(line), line.tape))


def _errors(line: TapeLine) -> int:
    return int(line.row["fp"] or 0) + int(line.row["fn"] or 0) if line.row else line.n_selections


def _qualities(found: Sequence[Event]) -> list[tuple[str, int, int, dict[str, int]]]:
    """Return (quality, found, missed, why missed → how often), every reason in every row."""
    why = Counter(event.why.split(" (")[0] for event in found if event.kind == "miss")
    reasons = sorted(why, key=lambda one: (-why[one], one))
    rows = []
    for quality in (*reversed(QUALITIES), None):
        calls = [event for event in found if event.call is not None and event.quality == quality]
        if calls:
            hits = sum(event.kind == "hit" for event in calls)
            missed = Counter(event.why.split(" (")[0] for event in calls if event.kind == "miss")
            by_reason = {reason: missed[reason] for reason in reasons}
            rows.append(("unknown" if quality is None else f"Q{quality}", hits, len(calls) - hits, by_reason))
    return rows


def _reasons(found: Sequence[Event]) -> list[tuple[str, int]]:
    """Return (why a false alarm, how often), most frequent first."""
    counts = Counter(event.why.split(" (")[0] for event in found if event.kind == "alarm")
    return sorted(counts.items(), key=lambda one: (-one[1], one[0]))


def _highest_scores(found: Sequence[Event], sources: Mapping[str, Source], count: int) -> dict[int, float]:
    """Return position → highest score within a miss, for the clearest misses: those that may be shown."""
    misses = [
        (position, event) for position, event in enumerate(found) if event.kind == "miss" and event.why != NEVER_SCORED
    ]
    misses.sort(key=lambda one: (-(one[1].quality or 0), one[1].start_s - one[1].end_s, one[1].tape, one[1].start_s))
    # What was not looked at comes last within its quality.
    highest = {position: 2.0 for position, _ in misses}
    for position, event in misses[: _HEARD_CANDIDATES * count]:
        if event.recording in sources:
            start_s, end_s = event.start_s - event.offset_s, event.end_s - event.offset_s
            highest[position] = float(read_curve(sources[event.recording], start_s, end_s).p.max(initial=0.0))
    return highest


def _item(event: Event, found: Sequence[Event], layer: Layer, media: Media) -> Item:
    title = f"{event.tape}, {_clock(event.start_s)}"
    start_s, end_s = gallery.stretch_of(event)
    source = media.sources.get(event.recording)
    curve = read_curve(source, start_s, end_s) if source is not None else None
    facts = _facts(event, curve)
    if media.recordings is None or event.recording in media.problems:
        return Item(title, facts, None, None, 0.0, end_s - start_s)
    if media.left <= 0:
        media.n_left_out += 1
        return Item(title, facts, None, None, 0.0, end_s - start_s)
    try:
        path = media.recordings.find(names.recording_stem(event.recording), event.recording)
        sound = read_sound(path, start_s, end_s)
    except HumError as error:
        media.problems[event.recording] = str(error)
        return Item(title, facts, None, None, 0.0, end_s - start_s)
    same_tape = [other for other in found if other.tape == event.tape]
    calls = [
        Mark(one.call.raw_start_s - event.offset_s, one.call.raw_end_s - event.offset_s, _quality(one))
        for one in same_tape
        if one.call is not None
    ]
    selections = [
        Mark(one.start_s - event.offset_s, one.end_s - event.offset_s, _sure(one))
        for one in same_tape
        if one.entry is not None
    ]
    picture = gallery.spectrogram_svg(
        sound, _max_hz(source), marks_within(calls, sound.start_s, sound.end_s),
        marks_within(selections, sound.start_s, sound.end_s), curve, layer.counts_from,
        f"Spectrogram of {title}: {', '.join(facts)}",
    )  # fmt: skip
    address, gain_db = gallery.sound_mp3(sound)
    media.left -= len(picture) + len(address)
    return Item(title, facts, picture, address, gain_db, sound.end_s - sound.start_s)


def _facts(event: Event, curve: Curve | None) -> tuple[str, ...]:
    facts = [f"{event.end_s - event.start_s:.2f} s long"]
    if event.quality is not None:
        facts.append(f"quality {event.quality}")
    if event.entry is not None and (p := probability(event.entry)) is not None:
        facts.append(f"confidence {p:.2f}")
    if event.kind == "miss" and curve is not None:
        inside = (curve.time_s >= event.start_s - event.offset_s) & (curve.time_s <= event.end_s - event.offset_s)
        facts.append(f"highest score in it {curve.p[inside].max(initial=0.0):.2f}")
    if event.kind == "hit" and event.call is not None:
        start_ms, end_ms = event.start_s - event.call.raw_start_s, event.end_s - event.call.raw_end_s
        facts.append(f"start {start_ms * 1000:+.0f} ms, end {end_ms * 1000:+.0f} ms")
    if event.why:
        facts.append(event.why)
    return tuple(facts)


def _max_hz(source: Source | None) -> float:
    if source is None or source.is_log:
        return _DEFAULT_MAX_HZ
    return 1.25 * float(read_score_meta(source.path).front_end.get("fmax", _DEFAULT_MAX_HZ))


def _quality(event: Event) -> str:
    return "call" if event.quality is None else f"call Q{event.quality}"


def _sure(event: Event) -> str:
    p = probability(event.entry) if event.entry is not None else None
    return "" if p is None else f"{p:.2f}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds, 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:04.1f}"
