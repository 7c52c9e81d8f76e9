"""`eval.cfg`: how score tracks become selections."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, model_validator

from hum_shared.config.cfg import broken_rule
from hum_shared.config.decoding import DecoderFile, DecoderSettings, merged_settings

EXPORT_FORMATS = ("raven", "audacity", "csv", "parquet", "json", "counts")


def split_formats(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the known formats of a list with commas, in the order of `EXPORT_FORMATS`, and the unknown ones."""
    asked = {name.strip() for name in text.split(",")} - {""}
    return tuple(name for name in EXPORT_FORMATS if name in asked), tuple(sorted(asked - {*EXPORT_FORMATS}))


class EvaluationCfg(DecoderSettings):
    """Settings of `hum-evaluator run`; paths are relative to the workspace."""

    written_when_given: ClassVar[frozenset[str]] = frozenset(DecoderSettings.model_fields)

    prediction_dir: str = Field(description="the run's prediction folder: text logs, and score tracks by default")
    output_dir: str = Field(description="where annotation tables go; index.json lies beside that folder")
    noise_in_anno: bool = Field(False, description="also write the gaps between selections as noise rows")
    scores_dir: str | None = Field(None, description="where the score tracks lie; unset: prediction_dir")
    decoder_file: str | None = Field(
        None, description="a decoder.json, read when the cfg is run; keys that stand in the cfg win over it"
    )
    export: str | None = Field(
        None,
        description="further formats to write beside the tables, separated by commas: " + ", ".join(EXPORT_FORMATS),
    )

    @property
    def exports(self) -> tuple[str, ...]:
        """The formats of `export`, in the order of `EXPORT_FORMATS`."""
        return split_formats(self.export or "")[0]

    @model_validator(mode="after")
    def _known_formats(self) -> Self:
        if unknown := split_formats(self.export or "")[1]:
            known = ", ".join(EXPORT_FORMATS)
            raise broken_rule("export", f"export knows no format {', '.join(unknown)}; known: {known}")
        return self

    def decoding(self, tuned: DecoderFile | None, source: str) -> DecoderSettings:
        """Return the decoder's settings; see :func:`~hum_shared.config.decoding.merged_settings`."""
        given = {key: getattr(self, key) for key in self.model_fields_set & DecoderSettings.model_fields.keys()}
        return merged_settings(given, tuned, source)
