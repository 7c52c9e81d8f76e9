"""What a recipe that learns from a corpus works on: its settings, recordings, fold and what was fed back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hum_shared.command import say, warn
from hum_shared.config.training import TrainingCfg
from hum_shared.config.workspace import workspace_of
from hum_shared.files import sha256_json
from hum_shared.intervals import duration
from hum_trainer import mining
from hum_trainer.call_measures import durations_and_gaps
from hum_trainer.event_loop import Negative
from hum_trainer.folds import Fold, calls_per_tape, plan_folds
from hum_trainer.labelled_recordings import LabelledRecording, read_labelled_recordings
from hum_trainer.mining import HardNegatives, as_negatives, read_hard_negatives, with_added_calls
from hum_trainer.run_state import RunFolders, run_folders
from hum_trainer.suggestion import Suggested, complete, decoding_limits

CLASSES = {"noise": 0, "target": 1}

RECIPE_VERSIONS = {"frames": 6, "windows": 6}
"""Part of what a checkpoint belongs to; raised when networks or examples change without a setting that says so."""
MOSTLY_CALLS = 0.4
"""Share of the time from which on the running median that levels are measured over is partly the calls'."""

_FREE_TO_CHANGE = frozenset(
    {"cache_dir", "num_workers", "log_dir", "summary_dir", "device", "no_cuda", "debug", "start_from_scratch"}
    | {"model_dir", "checkpoint_dir", "data_dir", "corpus_index", "noise_dir"}
)
"""Settings that do not change what an epoch computes; data count by content. The learning rate's course depends on
the number of epochs, so that counts."""


@dataclass(frozen=True)
class CorpusTask:
    """A training task of recipe `windows` or `frames`.

    Attributes
    ----------
    cfg
        With everything it left to the data filled in.
    from_data
        Those settings, with reasons.
    indexed
        The recordings of the corpus with the calls of its index.
    recordings
        The same with the calls that were fed back.
    folds
        Every way of parting the corpus.
    fold
        The one that `cfg.fold` names: which stretches train and which validate.
    fed_back
        What `hum-trainer mine` found.
    min_gap_s, min_duration_s
        Decoder settings that fit the training calls.
    data_sha256
        Digest of all audio, labels and what was fed back.
    settings_sha256
        Digest of data and settings: equal means a run may go on.
    """

    cfg: TrainingCfg
    folders: RunFolders
    from_data: tuple[Suggested, ...]
    indexed: Sequence[LabelledRecording]
    recordings: Sequence[LabelledRecording]
    folds: Sequence[Fold]
    fold: Fold
    fed_back: HardNegatives
    min_gap_s: float
    min_duration_s: float
    data_sha256: str
    settings_sha256: str

    @property
    def negatives(self) -> list[Negative]:
        """Hard negatives that were fed back, on the training stretches."""
        return as_negatives(self.fed_back.rounds, self.fold.train)

    def training_data(self, mined: Sequence[Negative]) -> dict[str, Any]:
        """Return what a model's card says of its data.

        Parameters
        ----------
        mined
            Hard negatives that the run itself found.
        """
        parts = {"train": self.fold.train, "val": self.fold.val}
        return {
            "corpus_index": self.cfg.corpus_index,
            "sha256": self.data_sha256,
            "settings_sha256": self.settings_sha256,
            "split": f"whole tapes, fold {self.cfg.fold} of {self.cfg.n_folds}"
            if self.fold.kind == "tape"
            else "time blocks of one tape: validation says nothing about other tapes",
            "tapes": {name: _sorted(part.recording.tape for part in stretches) for name, stretches in parts.items()},
            "recordings": {
                name: {part.recording.name: part.recording.sha256 for part in stretches}
                for name, stretches in parts.items()
            },
            "calls": {name: sum(len(part.calls) for part in stretches) for name, stretches in parts.items()},
            "seconds": {name: round(sum(part.dur_s for part in stretches), 3) for name, stretches in parts.items()},
            "from_data": {setting.key: setting.reason for setting in self.from_data},
            "hard_negatives": {
                "within_this_run": len(mined),
                "fed_back": [
                    {
                        "model_sha256": one.model_sha256,
                        "tables": one.tables,
                        "negatives": len(one.negatives),
                        "calls": len(one.calls),
                    }
                    for one in self.fed_back.rounds
                ],
            },
        }

    def ensemble_data(self, folds: Sequence[dict[str, Any]], mined: int) -> dict[str, Any]:
        """Return what the card of an ensemble says of its data: every tape trained some network, validated another.

        Parameters
        ----------
        folds
            What is to be said of each network.
        mined
            How many hard negatives the run itself found.
        """
        said = self.training_data([])
        tapes = _sorted(recording.tape for recording in self.recordings)
        said["split"] = (
            f"{len(self.folds)} networks, each validated on whole tapes that it has not seen"
            if self.fold.kind == "tape"
            else f"{len(self.folds)} networks; time blocks of one tape: validation says nothing about other tapes"
        )
        said["tapes"] = {"train": tapes}
        said["recordings"] = {"train": {recording.name: recording.sha256 for recording in self.recordings}}
        said["calls"] = {"train": sum(len(recording.calls) for recording in self.recordings)}
        said["seconds"] = {"train": round(sum(recording.dur_s for recording in self.recordings), 3)}
        said["hard_negatives"]["within_this_run"] = mined
        said["networks"] = list(folds)
        return said


def read_corpus_task(cfg: TrainingCfg, cfg_path: Path) -> CorpusTask:
    """Read the corpus of a cfg and plan its fold.

    Raises
    ------
    InputError
        When corpus, cfg or `hard_negatives.json` are not as they should be.
    """
    assert cfg.corpus_index is not None  # the cfg's rule
    folders = run_folders(cfg, cfg_path)
    indexed = read_labelled_recordings(workspace_of(cfg_path).resolve(cfg.corpus_index), folders.data)
    fed_back = read_hard_negatives(folders.models / mining.FILE_NAME)
    # Settings are those of the corpus as it was indexed: what is fed back must not move the front end.
    cfg, from_data = complete(cfg, indexed)
    recordings = with_added_calls(indexed, fed_back.rounds)
    folds = plan_folds(recordings, cfg.n_folds, cfg.seed)
    fold = folds[cfg.fold % len(folds)]
    min_duration_s, min_gap_s = decoding_limits(*durations_and_gaps([part.calls for part in fold.train]))
    data_sha256 = sha256_json(
        [
            [[recording.name, recording.tape, recording.sha256, recording.calls.tolist()] for recording in recordings],
            sorted({(one.recording, one.start_s, one.end_s) for mined in fed_back.rounds for one in mined.negatives}),
        ]
    )
    made_of = [RECIPE_VERSIONS[cfg.recipe], cfg.model_dump(mode="json", exclude=set(_FREE_TO_CHANGE)), data_sha256]
    if 0 in calls_per_tape(recordings).values():
        made_of.append("tapes without calls are dealt out evenly")  # they were not, when other corpora had their folds
    return CorpusTask(
        cfg=cfg,
        folders=folders,
        from_data=from_data,
        indexed=indexed,
        recordings=recordings,
        folds=folds,
        fold=fold,
        fed_back=fed_back,
        min_gap_s=min_gap_s,
        min_duration_s=min_duration_s,
        data_sha256=data_sha256,
        settings_sha256=sha256_json(made_of),
    )


def announce(task: CorpusTask) -> None:
    """Print what settings the calls have decided, and warn where calls are not what the recipe takes them for."""
    for setting in task.from_data:
        say(f"{setting.key}={setting.value:.10g} ({setting.unit}): {setting.reason}")
    full = [one for one in task.recordings if duration(one.calls) > MOSTLY_CALLS * one.dur_s]
    if full and task.cfg.normalisation_used == "background":
        warn(
            f"calls fill more than {MOSTLY_CALLS:.0%} of {len(full)} of {len(task.recordings)} recordings, the first "
            f"is {full[0].name}: there they are part of the background that levels are measured over. Where calls are "
            "rare they stand higher over it, and some are missed; label longer clips, with the pauses around"
        )
    first: dict[str, LabelledRecording] = {}
    for one in task.recordings:
        twin = first.setdefault(one.sha256, one)
        if twin.tape != one.tape:
            warn(
                f"{twin.name} and {one.name} are the same audio under the names of two tapes: a network may be judged "
                "on what it has learnt. Remove one, and index the corpus again"
            )


def _sorted(values: Any) -> list[str]:
    return sorted(set(values))
