"""Whether the layers of a run belong together: what was filtered is what was selected."""

from __future__ import annotations

from pathlib import Path

from hum_shared.index import PredictionIndex, read_index
from hum_shared.layout import LAYER_INDEX


def mismatch(layer: str, filtered: PredictionIndex, selected: PredictionIndex) -> str | None:
    """Return what is wrong where a filtered layer is not of this evaluation, in words; None: nothing.

    A filter made from other selections says so by their digest. Where it does not say, or agrees, it may still hold
    selections that the evaluation has not; only indexes of these programs, which round alike, are compared so.
    """
    digest = (filtered.meta.model_extra or {}).get("evaluation_sha256")
    if digest is not None and digest != selected.selections_sha256:
        return f"{layer} was filtered from an earlier evaluation. Run hum-rf-filter run again"
    if filtered.meta.provenance is None or selected.meta.provenance is None:
        return None
    known = {(one.recording, one.start_s, one.end_s) for one in selected.entries}
    others = sum((one.recording, one.start_s, one.end_s) not in known for one in filtered.entries)
    if others == 0:
        return None
    return (
        f"{others} of {len(filtered.entries)} {layer} selections are not in its evaluation, made anew since, or whose "
        "tables were changed. Run both again to compare them"
    )


def mismatch_of_run(run_root: Path, stage: str, index: PredictionIndex) -> str | None:
    """Return what is wrong where a layer of a run was filtered from another evaluation than lies beside it."""
    selected = run_root / "evaluation" / LAYER_INDEX
    if stage == "evaluation" or not selected.is_file():
        return None
    wrong = mismatch(stage, index, read_index(selected, PredictionIndex))
    return None if wrong is None else f"{run_root}: {wrong}"
