"""How scores become selections: the settings of all decoders, and the `decoder.json` that tuning writes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from hum_shared.config.cfg import CfgModel, validate
from hum_shared.errors import CfgError
from hum_shared.files import read_json, write_json

DecoderName = Literal["union", "hysteresis", "peak", "change"]
DECODER_FILE = "decoder.json"
"""Name of the tuned settings beside a model."""


class DecoderSettings(CfgModel):
    """Settings of one decoding; `union` knows `threshold` alone."""

    decoder: DecoderName = Field("union", description="how scores become selections")
    threshold: float = Field(
        0.5, ge=0, le=1, description="union: a window with at least this probability counts; else a selection does"
    )
    temperature: float = Field(
        1.0, gt=0, description="log-odds are divided by this first; above 1 for networks that are too sure"
    )
    smoothing_s: float = Field(0.0, ge=0, description="width of the triangle that scores are averaged with, s")
    edge_level: float = Field(
        0.5, ge=0.01, le=0.99, description="score at which edges lie; peak: as a share of the selection's peak"
    )
    step_s: float = Field(0.1, gt=0, description="change: half-length of the step filter, s")
    merge_drop: float = Field(
        0.3, ge=0, le=1, description="change: neighbours join unless the score drops by this from the higher of them"
    )
    min_gap_s: float = Field(0.0, ge=0, description="neighbours that are closer become one selection, s")
    min_duration_s: float = Field(0.0, ge=0, description="shorter selections are dropped, s")
    onset_shift_s: float = Field(0.0, description="added to every start, s")
    offset_shift_s: float = Field(0.0, description="added to every end, s")
    confidence_from: Literal["peak", "mean"] | None = Field(
        None, description="what a selection's confidence is made of; unset: mean for change, peak for the others"
    )
    confidence_scale: float = Field(1.0, gt=0, description="confidence = logistic(scale · (log-odds − shift))")
    confidence_shift: float = Field(0.0, description="log-odds that mean a confidence of 0.5")


class DecoderFile(BaseModel):
    """`decoder.json`: what tuning found."""

    model_config = ConfigDict(frozen=True, extra="allow")

    schema_version: int = 1
    best: DecoderName
    decoders: dict[DecoderName, dict[str, Any]] = Field(description="decoder → its best settings")
    tuned_on: dict[str, Any] = Field(description="tapes, recordings with digests, calls, hours, model digests")
    results: dict[str, Any] = Field(default_factory=dict, description="decoder → objective and checks")
    provenance: dict[str, Any] = Field(default_factory=dict)

    def settings(self, decoder: str | None = None) -> DecoderSettings | None:
        """Return the best settings of a decoder (None: of the best decoder); None when it was not tuned."""
        name = decoder or self.best
        found = next((settings for known, settings in self.decoders.items() if known == name), None)
        return None if found is None else validate(DecoderSettings, {**found, "decoder": name}, DECODER_FILE)


def read_decoder_file(path: Path) -> DecoderFile:
    """Read a `decoder.json`.

    Raises
    ------
    InputError
        When there is none or it is not JSON.
    CfgError
        When it has another shape, or settings in it break a rule.
    """
    found = validate(DecoderFile, read_json(path), path)
    for name in found.decoders:
        try:
            found.settings(name)
        except CfgError as error:
            raise CfgError(f"{path}: {name}: {error}") from None
    return found


def write_decoder_file(path: Path, content: DecoderFile) -> None:
    """Write a `decoder.json` atomically."""
    write_json(path, content.model_dump(mode="json"))


def merged_settings(given: Mapping[str, Any], tuned: DecoderFile | None, source: Path | str) -> DecoderSettings:
    """Return the settings that hold: given ones win over tuned ones, those over the defaults.

    Parameters
    ----------
    given
        Keys of :class:`DecoderSettings` that were set by a person; with `decoder` among them, what was tuned for
        that decoder is taken, else for the best one.
    tuned
        What tuning found; None without it.
    source
        Named in errors.

    Raises
    ------
    CfgError
        When the decoder that is asked for was not tuned, a rule is broken, or something is given that does nothing.
    """
    if tuned is None:
        return _effective(validate(DecoderSettings, dict(given), source), given, source)
    found = tuned.settings(given.get("decoder"))
    if found is None:
        raise CfgError(
            f"{source}: the decoder file holds no settings of decoder {given['decoder']}, only of "
            f"{', '.join(tuned.decoders)}. Run hum-evaluator tune --decoder all, or take one of these."
        )
    return _effective(validate(DecoderSettings, {**found.model_dump(), **given}, source), given, source)


def _effective(settings: DecoderSettings, given: Mapping[str, Any], source: Path | str) -> DecoderSettings:
    idle = given.keys() - {"decoder", "threshold"} if settings.decoder == "union" else ()
    if idle:
        raise CfgError(
            f"{source}: {', '.join(sorted(idle))}: decoder union knows threshold alone. Leave it out, or name another "
            "decoder."
        )
    return settings
