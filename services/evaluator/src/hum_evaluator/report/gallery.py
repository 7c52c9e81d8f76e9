"""The gallery: which events are worth looking at, and picture and sound of each."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import soundfile
from markupsafe import Markup

from hum_evaluator.report.events import NEVER_SCORED, Event
from hum_evaluator.report.svg import number
from hum_evaluator.review_sheet import probability
from hum_evaluator.spectrogram import picture, spectrogram_db
from hum_evaluator.stretch import Curve, Mark, Sound
from hum_shared.audio import resample

PAD_S = (0.25, 1.0)
LONGEST_S = 8.0
WIDTH, HEIGHT, CURVE_HEIGHT, LANE = 480, 150, 46, 13

_MP3_RATE = 32_000  # at lower ones what MP3 puts before and after the sound grows too long
_LETTER = 6.0  # width; a word that does not fit its mark would run into the next
_LOUD = 0.7
_MOST_GAIN = 300.0


@dataclass(frozen=True)
class Group:
    """Some events under one heading, in the order in which they are to be seen."""

    title: str
    hint: str
    events: tuple[Event, ...]


def choose(found: Sequence[Event], count: int, highest: Mapping[int, float] | None = None) -> list[Group]:
    """Return what to look at, `count` per group.

    With ground truth: the worst misses (best quality first, then those the model heard least), the worst false
    alarms (surest first), and a random sample of hits. Without: the surest, the least sure, a random sample.

    Parameters
    ----------
    highest
        Position in `found` → highest score within a miss; None where scores are not at hand.
    """
    heard = highest or {}
    draw = np.random.default_rng(0)
    if any(event.kind != "found" for event in found):
        misses = [
            (position, event)
            for position, event in enumerate(found)
            if event.kind == "miss" and event.why != NEVER_SCORED
        ]
        misses.sort(key=lambda one: (-(one[1].quality or 0), heard.get(one[0], 0.0), *_place(one[1])))
        alarms = sorted((e for e in found if e.kind == "alarm"), key=lambda e: (-_sure(e), *_place(e)))
        hits = [event for event in found if event.kind == "hit"]
        return [
            Group("Worst misses", "calls of the best quality that were not found", tuple(e for _, e in misses[:count])),
            Group("Worst false alarms", "selections the model was surest of", tuple(alarms[:count])),
            Group("Hits", "a random sample of what was found", _sample(hits, count, draw)),
        ]
    by_certainty = sorted(found, key=lambda e: (-_sure(e), *_place(e)))
    doubtful = sorted(found, key=lambda e: (abs(_sure(e) - 0.5), *_place(e)))
    return [
        Group("Surest", "selections the model was surest of", tuple(by_certainty[:count])),
        Group("Least sure", "selections closest to a coin toss", tuple(doubtful[:count])),
        Group("Sample", "a random sample of all selections", _sample(found, count, draw)),
    ]


def stretch_of(event: Event) -> tuple[float, float]:
    """Return what is shown of an event, in recording time: itself and twice its length around it, within `PAD_S`;
    at most `LONGEST_S`.
    """
    start_s, end_s = event.start_s - event.offset_s, event.end_s - event.offset_s
    if event.call is not None:
        start_s = min(start_s, event.call.raw_start_s - event.offset_s)
        end_s = max(end_s, event.call.raw_end_s - event.offset_s)
    pad_s = min(max(2 * (end_s - start_s), PAD_S[0]), PAD_S[1])
    start_s = max(0.0, start_s - pad_s)
    return start_s, min(end_s + pad_s, start_s + LONGEST_S)


def spectrogram_svg(
    sound: Sound, max_hz: float, calls: Sequence[Mark], selections: Sequence[Mark], curve: Curve | None,
    threshold: float | None, said: str,
) -> Markup:  # fmt: skip
    """Return the picture of a stretch: lanes of true calls and selections, spectrogram, score curve."""
    image = picture(spectrogram_db(sound.samples, sound.rate, WIDTH, max_hz), WIDTH, HEIGHT)
    length_s = sound.end_s - sound.start_s
    top, bottom = 2 * LANE, 2 * LANE + HEIGHT

    def x(time_s: float) -> float:
        return min(max((time_s - sound.start_s) / length_s, 0.0), 1.0) * WIDTH

    parts = [
        Markup('<image href="data:image/webp;base64,{}" y="{}" width="{}" height="{}"/>').format(
            base64.b64encode(image).decode(), top, WIDTH, HEIGHT
        )
    ]
    for lane, (css, marks) in enumerate((("truth", calls), ("pred", selections))):
        for mark in marks:
            left, right = x(mark.start_s), x(mark.end_s)
            text = mark.text if right - left > _LETTER * len(mark.text) else ""
            parts.append(
                Markup(
                    '<rect class="lane-{c}" x="{x}" y="{y}" width="{w}" height="{h}"/>'
                    '<path class="edge-{c}" d="M{x} {t}V{b}M{r} {t}V{b}"/>'
                    '<text class="in-lane" x="{tx}" y="{ty}">{text}</text>'
                ).format(
                    c=css, x=number(left), y=lane * LANE + 1, w=number(max(1.0, right - left)), h=LANE - 2, t=top,
                    b=bottom, r=number(right), tx=number(left + 3), ty=lane * LANE + LANE - 3, text=text,
                )
            )  # fmt: skip
    height = bottom + (CURVE_HEIGHT if curve is not None else 0)
    if curve is not None:

        def y(p: float) -> float:
            return bottom + 4 + (1 - p) * (CURVE_HEIGHT - 8)

        if threshold is not None:
            parts.append(Markup('<path class="threshold" d="M0 {}H{}"/>').format(number(y(threshold)), WIDTH))
        points = " ".join(
            f"{number(x(t))},{number(y(p))}" for t, p in zip(curve.time_s.tolist(), curve.p.tolist(), strict=True)
        )
        parts.append(Markup('<polyline class="score" points="{}"/>').format(points))
        for p, word in ((1.0, "score 1"), (0.0, "0")):
            parts.append(Markup('<text class="in-curve" x="4" y="{}">{}</text>').format(number(y(p) + 7 * p), word))
    parts.append(
        Markup('<text class="khz" x="4" y="{}">{} kHz</text>').format(top + 11, number(round(max_hz / 1000, 1)))
    )
    bar = 0.5 if length_s >= 1 else 0.1
    right = WIDTH - 8
    parts.append(
        Markup(
            '<path class="scale" d="M{} {}H{}"/><text class="khz" x="{}" y="{}" text-anchor="end">{} s</text>'
        ).format(number(right - bar / length_s * WIDTH), bottom - 5, right, right, bottom - 9, number(bar))
    )
    parts.append(Markup('<path class="cursor" d="M0 0V{}" visibility="hidden"/>').format(height))
    return Markup('<svg class="spectrogram" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, height, said, Markup("").join(parts)
    )


def sound_mp3(sound: Sound) -> tuple[str, float]:
    """Return a stretch as MP3 in a `data:` address, and by how many dB it was made louder."""
    samples = resample(sound.samples, sound.rate, _MP3_RATE)
    peak = float(np.max(np.abs(samples), initial=0.0))
    gain = min(_LOUD / peak, _MOST_GAIN) if peak > 0 else 1.0
    content = io.BytesIO()
    soundfile.write(
        content, np.clip(samples * gain, -1, 1), _MP3_RATE, format="MP3", subtype="MPEG_LAYER_III",
        bitrate_mode="CONSTANT", compression_level=0.9,
    )  # fmt: skip
    return f"data:audio/mpeg;base64,{base64.b64encode(content.getvalue()).decode()}", 20 * float(np.log10(gain))


def _sample(found: Sequence[Event], count: int, draw: np.random.Generator) -> tuple[Event, ...]:
    if len(found) <= count:
        return tuple(found)
    return tuple(found[position] for position in sorted(draw.choice(len(found), count, replace=False).tolist()))


def _sure(event: Event) -> float:
    p = probability(event.entry) if event.entry is not None else None
    return 0.0 if p is None else p


def _place(event: Event) -> tuple[str, float, float]:
    return event.tape, event.start_s, event.end_s
