"""Charts as inline SVG: axes, lines, dots and bars. Colours and fonts are the page's (CSS classes)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

Point = tuple[float, float]

_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 12.0, 10.0, 40.0
_STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True)
class Axis:
    """One axis: its range, where its ticks are, what it shows."""

    low: float
    high: float
    ticks: tuple[float, ...]
    label: str


def axis(label: str, low: float, high: float, count: int = 5) -> Axis:
    """Return an axis with about `count` ticks at round numbers; an empty range is widened by 1."""
    if high - low <= 1e-9 * max(1.0, abs(low)):
        high = low + max(1.0, 1e-6 * abs(low))
    raw = (high - low) / max(1, count)
    size = 10.0 ** np.floor(np.log10(raw))
    step = float(size * next(step for step in _STEPS if size * step >= raw * 0.999))
    ticks = np.arange(np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9) + 1) * step
    return Axis(low, high, tuple(float(tick) for tick in ticks), label)


def number(value: float) -> str:
    """Return a number as it stands in SVG and on axes: at most three decimals, no trailing zeros, no −0."""
    text = f"{value:.3f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


class Chart:
    """A chart with two axes; draw into it, then take its :meth:`svg`.

    Parameters
    ----------
    x, y
        Axes.
    said
        What the chart shows, in words, for those who do not see it.
    width, height
        In the chart's own units; the page scales it.
    """

    def __init__(self, x: Axis, y: Axis, said: str, width: float = 460, height: float = 300) -> None:
        self.x, self.y, self.said, self.width, self.height = x, y, said, width, height
        self._parts: list[Markup] = []

    def at(self, point: Point) -> Point:
        """Return where a point lies in the picture; what lies beyond an axis is drawn at its end."""
        x, y = point
        share_x = min(1.0, max(0.0, (x - self.x.low) / (self.x.high - self.x.low)))
        share_y = min(1.0, max(0.0, (y - self.y.low) / (self.y.high - self.y.low)))
        return (
            _LEFT + share_x * (self.width - _LEFT - _RIGHT),
            self.height - _BOTTOM - share_y * (self.height - _TOP - _BOTTOM),
        )

    def line(self, points: Sequence[Point], css: str, title: str = "") -> None:
        """Draw a line through points."""
        if points:
            path = " ".join(f"{number(x)},{number(y)}" for x, y in map(self.at, points))
            self._parts.append(
                Markup('<polyline class="line {}" points="{}">{}</polyline>').format(css, path, _title(title))
            )

    def dot(self, point: Point, css: str, title: str = "", radius: float = 4) -> None:
        """Draw a dot."""
        x, y = self.at(point)
        self._parts.append(
            Markup('<circle class="dot {}" cx="{}" cy="{}" r="{}">{}</circle>').format(
                css, number(x), number(y), number(radius), _title(title)
            )
        )

    def bar(self, left: float, right: float, value: float, css: str, title: str = "") -> None:
        """Draw a bar from the lower end of y up to a value."""
        (x0, y0), (x1, y1) = self.at((left, self.y.low)), self.at((right, value))
        self._parts.append(
            Markup('<rect class="bar {}" x="{}" y="{}" width="{}" height="{}">{}</rect>').format(
                css, number(x0), number(y1), number(max(0.5, x1 - x0)), number(y0 - y1), _title(title)
            )
        )

    def text(self, point: Point, text: str, css: str = "", dx: float = 6, dy: float = -6) -> None:
        """Write a word beside a point."""
        x, y = self.at(point)
        self._parts.append(
            Markup('<text class="{}" x="{}" y="{}">{}</text>').format(css, number(x + dx), number(y + dy), text)
        )

    def svg(self) -> Markup:
        """Return the chart."""
        left, bottom = self.at((self.x.low, self.y.low))
        right, top = self.at((self.x.high, self.y.high))
        lines: list[Markup] = []
        for tick in self.y.ticks:
            _, y = self.at((self.x.low, tick))
            lines.append(
                Markup(
                    '<line class="grid" x1="{l}" x2="{r}" y1="{y}" y2="{y}"/>'
                    '<text class="tick" x="{t}" y="{ty}" text-anchor="end">{n}</text>'
                ).format(
                    l=number(left), r=number(right), y=number(y), t=number(left - 6), ty=number(y + 4), n=number(tick)
                )
            )
        for tick in self.x.ticks:
            x, _ = self.at((tick, self.y.low))
            lines.append(
                Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>').format(
                    number(x), number(bottom + 16), number(tick)
                )
            )
        axes = Markup(
            '<path class="axis" d="M{l} {t}V{b}H{r}"/>'
            '<text class="label" x="{xm}" y="{h}" text-anchor="middle">{xl}</text>'
            '<text class="label" x="12" y="{ym}" text-anchor="middle" transform="rotate(-90 12 {ym})">{yl}</text>'
        ).format(
            l=number(left), t=number(top), b=number(bottom), r=number(right), h=number(self.height - 6),
            xm=number((left + right) / 2), ym=number((top + bottom) / 2), xl=self.x.label, yl=self.y.label,
        )  # fmt: skip
        return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}{}</svg>').format(
            number(self.width), number(self.height), self.said, Markup("").join(lines), axes,
            Markup("").join(self._parts),
        )  # fmt: skip


def strip(lanes: Sequence[tuple[str, Sequence[Point]]], length: float, said: str, width: int = 1000) -> Markup:
    """Return a strip of time with one lane of marks per kind.

    Parameters
    ----------
    lanes
        CSS class → stretches (start, end); drawn from the top down.
    length
        What the whole width stands for, in the unit of the stretches.
    said
        What the strip shows, in words.

    Returns
    -------
    Markup
        Marks that share a pixel are drawn once: the size does not grow with their number.
    """
    height, parts = 12, []
    for lane, (css, stretches) in enumerate(lanes):
        busy = np.zeros(width + 1, dtype=np.int8)
        for start, end in stretches:
            first = int(min(max(start, 0) / length * width, width - 1))
            busy[first : max(first + 3, int(min(end / length, 1) * width))] = 1
        edges = np.flatnonzero(np.diff(np.concatenate(([0], busy[:width], [0])))).reshape(-1, 2)
        top = lane * (height + 2) + 1
        path = "".join(f"M{start} {top}h{end - start}v{height}H{start}z" for start, end in edges.tolist())
        parts.append(
            Markup('<path class="lane" d="M0 {b}H{w}"/><path class="mark {c}" d="{d}"/>').format(
                b=top + height, w=width, c=css, d=path
            )
        )
    box = f"0 0 {width} {len(lanes) * (height + 2) + 2}"
    return Markup(
        '<svg class="strip" viewBox="{}" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
    ).format(box, said, Markup("").join(parts))


def _title(text: str) -> Markup:
    return Markup("<title>{}</title>").format(escape(text)) if text else Markup("")
