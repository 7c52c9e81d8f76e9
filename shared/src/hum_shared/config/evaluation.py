"""`eval.cfg`: how score tracks become selections."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hum_shared.config.cfg import CfgModel


class EvaluationCfg(CfgModel):
    """Settings of `hum-evaluator run`; paths are relative to the workspace."""

    prediction_dir: str = Field(description="the run's prediction folder: text logs, and score tracks by default")
    output_dir: str = Field(description="where annotation tables go; index.json lies beside that folder")
    threshold: float = Field(0.5, ge=0, le=1, description="a window with at least this probability counts")
    noise_in_anno: bool = Field(False, description="also write the gaps between selections as noise rows")
    decoder: Literal["union"] = Field("union", description="how windows are merged into selections")
    scores_dir: str | None = Field(None, description="where the score tracks lie; unset: prediction_dir")
