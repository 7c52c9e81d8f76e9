"""The page: the template filled in, with its style and its script inside."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hum_evaluator.report.panel import Panel
from hum_evaluator.report.runs import Layer, ranked
from hum_shared.provenance import Provenance


@dataclass(frozen=True)
class Page:
    """What the template shows."""

    title: str
    with_truth: bool
    best: Layer | None
    best_sentences: list[str]
    rival: str
    gain: list[str]
    cautions: list[str]
    warnings: list[str]
    notes: list[str]
    layers: list[Layer]
    intervals: dict[tuple[str, str, str], str]
    min_iou: float
    curves: tuple[Markup, list[tuple[str, str, str]]] | None
    against: dict[tuple[str, str, str], str]
    panels: list[Panel]
    training: list[tuple[str, list[Markup]]]
    provenance: Provenance

    @property
    def rows(self) -> list[Layer]:
        """The layers in the order of the comparison: best first, then those that were not measured."""
        order = ranked(self.layers)
        return order + [one for one in self.layers if one.row is None]


def render(page: Page) -> str:
    """Return the HTML of a page; every name and number in it is escaped."""
    environment = Environment(
        loader=PackageLoader("hum_evaluator.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(decimals=decimals, share=percent, ms=signed_ms)
    folder = files("hum_evaluator.report") / "templates"
    return environment.get_template("report.html.j2").render(
        page=page,
        style=Markup((folder / "style.css").read_text(encoding="utf-8")),
        script=Markup((folder / "script.js").read_text(encoding="utf-8")),
    )


def decimals(value: object, digits: int = 3) -> str:
    """Return a number with so many decimals; – where there is none."""
    return f"{value:.{digits}f}" if isinstance(value, int | float) else "–"


def signed_ms(value: float) -> str:
    """Return milliseconds with their sign, as `−5 ms`; 0 has none."""
    rounded = round(value)
    return "0 ms" if rounded == 0 else f"{rounded:+d} ms".replace("-", "−")


def percent(value: object) -> str:
    """Return a share as percent with one decimal; – where there is none."""
    return f"{100 * value:.1f} %" if isinstance(value, int | float) else "–"
