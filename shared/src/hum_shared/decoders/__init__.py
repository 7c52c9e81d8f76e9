"""Decoders: how window scores become selections. Pure, one module per decoder, known by name here."""

from __future__ import annotations

from collections.abc import Callable

from hum_shared.config.decoding import DecoderName, DecoderSettings
from hum_shared.decoders.candidates import Candidates
from hum_shared.decoders.change import change
from hum_shared.decoders.curve import Curve
from hum_shared.decoders.hysteresis import hysteresis
from hum_shared.decoders.peak import peak
from hum_shared.decoders.selecting import selections_of
from hum_shared.decoders.union import union
from hum_shared.decoders.windows import Selections, Windows, noise_between, noise_index

CurveDecoder = Callable[[Curve, DecoderSettings], Candidates]
CURVE_DECODERS: dict[DecoderName, CurveDecoder] = {"hysteresis": hysteresis, "peak": peak, "change": change}
"""Name in `eval.cfg` → the step that finds candidates on a score curve; what follows is the same for all.

`union` is the one decoder that looks at windows instead.
"""


def decode(windows: Windows, settings: DecoderSettings) -> Selections:
    """Turn the windows of a recording into selections.

    Parameters
    ----------
    windows
        Scores of one recording; none give no selections.
    settings
        Name the decoder, and what it needs.
    """
    if settings.decoder == "union":
        return union(windows, settings.threshold)
    return selections_of(windows, settings, CURVE_DECODERS[settings.decoder])


__all__ = [
    "CURVE_DECODERS",
    "DecoderSettings",
    "Selections",
    "Windows",
    "decode",
    "noise_between",
    "noise_index",
    "union",
]
