"""Decoders: how window scores become selections. Pure, one module per decoder, known by name here."""

from __future__ import annotations

from collections.abc import Callable

from hum_shared.decoders.union import union
from hum_shared.decoders.windows import Selections, Windows, noise_between, noise_index

Decoder = Callable[[Windows, float], Selections]

DECODERS: dict[str, Decoder] = {"union": union}
"""Name in `eval.cfg` → decoder; called with the windows and the threshold."""

__all__ = [
    "DECODERS",
    "Decoder",
    "Selections",
    "Windows",
    "noise_between",
    "noise_index",
    "union",
]
