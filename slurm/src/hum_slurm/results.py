"""Two sets of results compared: those of a pack and those of its repetition."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from hum_shared.files import sha256_file
from hum_shared.index import PredictionEntry, PredictionIndex, read_index
from hum_shared.layout import Workspace
from hum_slurm.pack_file import Pack

TIME_TOLERANCE_S = 0.01
SCORE_TOLERANCE = 0.01

_Verdict = tuple[Literal["ok", "note", "problem"], str]


def compare_results(pack: Pack, workspace: Workspace) -> list[_Verdict]:
    """Return a verdict per kind of result; one that says so where nothing was run yet.

    Entries of indexes are compared by value, tables by their bytes. Within tolerances means as many selections of
    the same recordings, with starts and ends within 0.01 s and scores within 0.01.
    """
    packed = {name: json.loads(data) for name, data in pack.results.items()}
    here = {name for name in packed if workspace.resolve(name).is_file()}
    if not here:
        return [("note", f"nothing was run here yet; run it, then unpack again to compare {len(packed)} indexes")]
    found: dict[str, list[str]] = {"equal": [], "close": [], "different": []}
    for name in sorted(here):
        here_now = read_index(workspace.resolve(name), PredictionIndex).entries
        found[compare_entries(_entries(packed[name]), here_now)].append(name)
    tables = {name: digest for name, digest in pack.description.results.items() if name not in packed}
    same_tables = sum(
        workspace.resolve(name).is_file() and sha256_file(workspace.resolve(name)) == digest
        for name, digest in tables.items()
    )
    out: list[_Verdict] = [
        (
            "ok" if same_tables == len(tables) else "note",
            f"{same_tables} of {len(tables)} tables are equal byte by byte",
        )
    ]
    if equal := found["equal"]:
        out.append(("ok", f"{len(equal)} of {len(packed)} indexes have equal entries"))
    if close := found["close"]:
        out.append(
            ("note", f"{len(close)} indexes are equal within {TIME_TOLERANCE_S} s and {SCORE_TOLERANCE} of score")
        )
    if other := found["different"]:
        out.append(("problem", f"{len(other)} indexes hold other selections, for example {other[0]}"))
    if len(here) < len(packed):
        out.append(("note", f"{len(packed) - len(here)} indexes are not there yet"))
    return out


def compare_entries(
    one: Sequence[PredictionEntry], two: Sequence[PredictionEntry]
) -> Literal["equal", "close", "different"]:
    """Return how alike the entries of two indexes are; two empty ones are equal."""
    if [entry.model_dump() for entry in one] == [entry.model_dump() for entry in two]:
        return "equal"
    if len(one) != len(two):
        return "different"
    return "close" if all(_is_close(a, b) for a, b in zip(_sorted(one), _sorted(two), strict=True)) else "different"


def _entries(index: Mapping[str, Any]) -> list[PredictionEntry]:
    return PredictionIndex.model_validate(index).entries


def _sorted(entries: Sequence[PredictionEntry]) -> list[PredictionEntry]:
    return sorted(entries, key=lambda entry: (entry.recording or entry.tape, entry.start_s))


def _is_close(one: PredictionEntry, two: PredictionEntry) -> bool:
    if (one.tape, one.recording, one.label) != (two.tape, two.recording, two.label):
        return False
    times = abs(one.start_s - two.start_s) <= TIME_TOLERANCE_S and abs(one.end_s - two.end_s) <= TIME_TOLERANCE_S
    scores = [(one.cnn_logit_mean, two.cnn_logit_mean), (one.score_max, two.score_max), (one.rf_prob, two.rf_prob)]
    return times and all(
        a == b or (a is not None and b is not None and abs(a - b) <= SCORE_TOLERANCE) for a, b in scores
    )
