"""The report's summary in words: which run to use, what the forest gains, where it fails, what to be wary of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import chi2

from hum_evaluator.leakage import Certificate
from hum_evaluator.metrics import QUALITIES, Row
from hum_evaluator.pairing import WITH_BASELINE, WITH_BEST
from hum_evaluator.report.curves import PrPoint
from hum_evaluator.report.events import EDGES_OFF, Event, edge_errors_ms
from hum_evaluator.report.runs import Layer
from hum_evaluator.truth import GroundTruth
from hum_shared.heard import by_tape
from hum_shared.intervals import duration
from hum_shared.words import listed

FEW_CALLS = 50
POOR_F1 = 0.5

_BETTER, _WORSE, _WITHIN, _UNKNOWN = "clearly better", "clearly worse", "within chance", "not to be judged on so little"
_CHANCES = (_BETTER, _WORSE, _WITHIN, _UNKNOWN)
_WORTH_TELLING = 0.02
_TAPES_NAMED = 6
_SHORTEST_H = 0.1  # a rate per hour of less than six minutes says nothing


def share(value: object) -> str:
    """Return a share as percent; – where unknown."""
    return f"{100 * float(value):.0f} %" if isinstance(value, int | float) else "–"


def best_run(layer: Layer, hours: float | None) -> list[str]:
    """Return sentences about the run that did best."""
    row = layer.row or {}
    said = [
        f"It finds {row['tp']} of {row['n_gt']} calls ({share(row['recall'])}) with "
        f"{_count(int(row['fp'] or 0), 'false alarm')}; "
        f"{share(row['precision'])} of what it selects are calls.",
        f"F1 is {float(row['f1'] or 0):.3f}{_interval(row)}.",
    ]
    if hours and hours >= _SHORTEST_H:
        n_alarms, calls_per_h = int(row["fp"] or 0), float(row["gt_per_hour"] or 0)
        low, high = poisson_interval(n_alarms)
        said.append(
            f"{_count(n_alarms, 'false alarm')} in {_hours(hours)} is {n_alarms / hours:.1f} per hour (by chance "
            f"anything from {low / hours:.1f} to {high / hours:.1f}), where there are {calls_per_h:.0f} calls per "
            "hour. Where calls are rarer, a smaller share of what it selects are calls."
        )
    return said


def poisson_interval(count: int) -> tuple[float, float]:
    """Return the exact 95 % interval of the expected number of events of which `count` were seen (Garwood 1936)."""
    low = 0.0 if count == 0 else float(chi2.ppf(0.025, 2 * count)) / 2
    return low, float(chi2.ppf(0.975, 2 * count + 2)) / 2


def other_threshold(layer: Layer, points: Sequence[PrPoint]) -> list[str]:
    """Return a sentence about a threshold that would have served the best run better; none without one."""
    best = max(points, key=lambda point: point.f1, default=None)
    if layer.layer != "evaluation" or best is None or best.f1 < _f1(layer) + _WORTH_TELLING:
        return []
    return [
        f"At a threshold of {best.threshold:g} its scores would have given F1 {best.f1:.3f} on these tapes: "
        "choose it on others (hum-evaluator tune)."
    ]


def interval(row: Row) -> str:
    """Return the 95 % interval of F1 as low–high; empty where there is none."""
    low, high = row.get("f1_low"), row.get("f1_high")
    return f"{low:.3f}–{high:.3f}" if isinstance(low, float) and isinstance(high, float) else ""


def rivals(order: Sequence[Layer], paired: Sequence[Row]) -> str:
    """Return a sentence about the best other run, and whether it is clearly worse; empty without any."""
    others = [one for one in order[1:] if one.folder != order[0].folder]
    if not others:
        return ""
    said = f"Next comes {others[0].name} with F1 {_f1(others[0]):.3f}"
    for row in paired:
        if row["compared"] == WITH_BEST and _key(row) == others[0].key and _key(row, "other_") == order[0].key:
            return f"{said}: {_chance(row)} ({row['verdict']})."
    for one in others[1:]:
        for row in paired if one.layer == order[0].layer else ():
            if row["compared"] == WITH_BEST and _key(row) == one.key and _key(row, "other_") == order[0].key:
                return f"{said}. {one.name} has F1 {_f1(one):.3f}: {_chance(row)} ({row['verdict']})."
    return f"{said}."


def equals(best: Layer, paired: Sequence[Row]) -> list[str]:
    """Return a sentence about how many other results chance alone may separate from the best one; none without any."""
    judged = [row for row in paired if row["compared"] == WITH_BEST and _key(row, "other_") == best.key]
    n = sum(_chance(row) == _WITHIN for row in judged)
    verb = "is" if n == 1 else "are"
    return [f"{_count(n, 'other result')} of this layer {verb} within chance of it: see the comparison."] if n else []


def against_best(paired: Sequence[Row]) -> dict[tuple[str, str, str], str]:
    """Return (model, variant, layer) → how the run compares with the best one of its layer."""
    return {_key(row): f"{_chance(row)}: {row['verdict']}" for row in paired if row["compared"] == WITH_BEST}


def judged_on(truth: GroundTruth) -> str:
    """Return a sentence about the tapes that the figures come from."""
    tapes = sorted(truth.tapes)
    labelled_s = sum(map(duration, by_tape(truth.recordings or ()).values()))
    heard = f" of {_hours(labelled_s / 3600)}" if truth.recordings else ""
    n_calls = sum(len(calls) for calls in truth.calls.values())
    return (
        f"All figures come from {_count(n_calls, 'labelled call')} on {_count(len(tapes), 'tape')}{heard} "
        f"({listed(tapes, _TAPES_NAMED)})."
    )


def not_seen(certificates: Mapping[tuple[str, str], Certificate]) -> list[str]:
    """Return sentences about the models of which it is known that they never saw the benchmark; none without any."""
    bad = {model for (model, _), one in certificates.items() if one.overlaps or one.missing}
    models_of: dict[str, set[str]] = {}
    for (model, _), one in sorted(certificates.items()):
        if model not in bad:
            how = "by tape and by digest of the audio" if one.by_audio else "by tape; not all digests are known"
            models_of.setdefault(how, set()).add(model)
    return [
        f"No leakage found: nothing that {', '.join(sorted(models))} learnt from holds any of these tapes ({how})."
        for how, models in models_of.items()
    ]


def learned_from(certificates: Mapping[tuple[str, str], Certificate]) -> list[str]:
    """Return sentences about the tapes that runs were made with, as far as known; one for all that saw the same."""
    runs_of: dict[str, list[str]] = {}
    for (model, layer), certificate in sorted(certificates.items()):
        parts = []
        for seen in certificate.sources:
            tapes = sorted({tape for part in seen.tapes.values() for tape in part})
            parts.append(f"{seen.source}: {_count(len(tapes), 'tape')} ({listed(tapes, _TAPES_NAMED)})")
        if parts:
            name = f"{model} with forest" if layer == "postrf" else model
            runs_of.setdefault("; ".join(parts), []).append(name)
    return [f"Tapes behind {', '.join(runs)}: {said}." for said, runs in runs_of.items()]


def gain_of_forest(paired: Sequence[Row], best: Layer | None) -> list[str]:
    """Return sentences about what the forest does to F1: over all runs, then for the best run; none without one."""
    rows = [row for row in paired if row["compared"] == WITH_BASELINE]
    if not rows:
        return []
    judged = Counter(_chance(row) for row in rows)
    runs = f"{len(rows)} run{'' if len(rows) == 1 else 's'}"
    said = [f"Of {runs}, F1 is " + ", ".join(f"{what} in {judged[what]}" for what in _CHANCES if judged[what]) + "."]
    own = [row for row in rows if best is not None and (row["model"], row["variant"]) == best.key[:2]]
    said += [f"In the best run it is {_chance(row)}: {row['verdict']}." for row in own]
    most = max(rows, key=lambda row: (float(row["delta_f1"] or 0), str(row["model"]), str(row["variant"])))
    if most not in own and float(most["delta_f1"] or 0) > 0:
        said.append(f"It helps most in {most['model']} · {most['variant']}: {most['verdict']}.")
    return said


def where_it_fails(found: Sequence[Event], tapes: Mapping[str, Row]) -> list[str]:
    """Return sentences about misses, false alarms, tapes and edges of one run."""
    said = []
    for kind, word in (("miss", "missed call"), ("alarm", "false alarm")):
        reasons = Counter(event.why.split(" (")[0] for event in found if event.kind == kind)
        if reasons:
            listed = "; ".join(f"{count} × {reason}" for reason, count in sorted(reasons.items(), key=_most_first))
            said.append(f"Of {_count(reasons.total(), word)}: {listed}.")
    twice = sum(event.kind == "alarm" and event.why.startswith(EDGES_OFF) for event in found)
    if twice:
        said.append(
            f"{_count(twice, 'false alarm')} of these {'is' if twice == 1 else 'are'} on a call that counts as "
            "missed, too."
        )
    recalls = [(quality, *_found(found, quality)) for quality in QUALITIES]
    known = [f"{share(hits / calls)} of quality {quality}" for quality, hits, calls in recalls if calls]
    if len(known) > 1:
        said.append(f"It finds {', '.join(known)} (3 is the best).")
    unheard = [f"{quality}" for quality, _, calls in recalls if not calls]
    if known and unheard:
        said.append(f"There is no call of quality {' or '.join(unheard)} here: nothing is known about such calls.")
    worst = worst_tape(tapes)
    if worst:
        row = tapes[worst]
        alarms = f"{row['fp']} false alarm{'' if row['fp'] == 1 else 's'}"
        said.append(f"Most errors lie on {worst}: {row['fn']} missed, {alarms}, F1 {float(row['f1'] or 0):.3f}.")
    elif len(tapes) > 1 and said:
        said.append(f"No single one of the {len(tapes)} tapes has most of the errors.")
    starts, ends = edge_errors_ms(found)
    if starts:
        said.append(
            f"Half of the hits start within {_within(starts, 50)} ms and end within {_within(ends, 50)} ms of the "
            f"call, nine of ten within {_within(starts, 90)} and {_within(ends, 90)} ms; the middle one starts "
            f"{_late(starts)} and ends {_late(ends)}."
        )
    return said


def worst_tape(tapes: Mapping[str, Row]) -> str | None:
    """Return the tape with most errors where there are several; None where none has more than all others."""
    errors = {tape: int(row["fp"] or 0) + int(row["fn"] or 0) for tape, row in tapes.items()}
    first, *others = sorted(errors, key=lambda tape: -errors[tape]) or [""]
    return first if others and errors[first] > errors[others[0]] else None


def cautions(layers: Sequence[Layer], n_calls: int | None) -> list[str]:
    """Return what makes the figures doubtful, as far as the indexes tell."""
    said = []
    if n_calls is None:
        said.append("There is no ground truth: nothing here says how many selections are calls. Listen to the samples.")
    elif n_calls < FEW_CALLS:
        said.append(
            f"Only {n_calls} true calls: one call more or less moves recall by {100 / max(n_calls, 1):.1f} points."
        )
    if n_calls and layers and (best := max(map(_f1, layers))) < POOR_F1:
        said.append(f"Even the best run is poor (F1 {best:.3f}): train or decode otherwise before counting with it.")
    if n_calls is not None and len(layers) > 1:
        said.append(
            f"The best of {len(layers)} results on the same tapes looks better than it will be elsewhere. "
            "Try the chosen one once more on tapes on which nothing was chosen."
        )
    heard = {
        frozenset((one.name, str(one.scored_s)) for one in layer.index.meta.recordings)
        for layer in layers
        if layer.index.meta.recordings
    }
    if len(heard) > 1:
        said.append("Not all runs looked at the same recordings: compare their counts with care.")
    return said


def _chance(row: Row) -> str:
    """Return whether a difference of F1 is clear: its 95 % interval does not hold 0."""
    low, high = row["delta_f1_low"], row["delta_f1_high"]
    if not isinstance(low, float) or not isinstance(high, float):
        return _UNKNOWN
    if low > 0:
        return _BETTER
    return _WORSE if high < 0 else _WITHIN


def _interval(row: Row) -> str:
    text = interval(row)
    if not text:
        return ""
    if row.get("interval_by") == "tape":
        return f" (95 % interval {text}, by drawing the tapes again)"
    return f" (95 % interval {text}; these are too few tapes to speak for others)"


def _key(row: Row, prefix: str = "") -> tuple[str, str, str]:
    return str(row[f"{prefix}model"]), str(row[f"{prefix}variant"]), str(row[f"{prefix}layer"])


def _found(found: Sequence[Event], quality: int) -> tuple[int, int]:
    calls = [event for event in found if event.quality == quality]
    return sum(event.kind == "hit" for event in calls), len(calls)


def _within(errors_ms: Sequence[float], percent: float) -> str:
    return f"{np.percentile(np.abs(errors_ms), percent):.0f}"


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def _late(errors_ms: Sequence[float]) -> str:
    median = float(np.median(errors_ms))
    if abs(median) < 5:
        return "on time"
    return f"{abs(median):.0f} ms too {'late' if median > 0 else 'early'}"


def _hours(hours: float) -> str:
    return f"{hours:.1f} hours" if hours >= 2 else f"{hours * 60:.0f} minutes"


def _most_first(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def _f1(layer: Layer) -> float:
    return float((layer.row or {}).get("f1") or 0.0)
