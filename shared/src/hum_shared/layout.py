"""Every path of the workspace: the only place that joins them.

See DESIGN.md, "The workspace". `Workspace` knows the root, the named roots and the training tree;
`Benchmark` knows one benchmark tree, the main one or one of its sets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from hum_shared import names
from hum_shared.errors import InputError

WORKSPACE_FILE = "workspace.toml"
LABELLED, SEGMENTED, RAW = "labelled_recordings", "segmented", "raw_recordings"
"""What the names of a corpus's folders contain."""
DATASET_PREFIX = "dataset_"
CORPUS_INDEX = "corpus_index.json"
VARIANT_INDEX = "variant_index.json"
LAYER_INDEX = "index.json"
"""What a run's `evaluation/` or `postrf/` found, beside its tables."""
FAILURES = "failures.json"
"""Recordings that could not be processed, in a stage's output folder; absent when there are none."""
SCORE_SUFFIX = "_predict_output.parquet"
LOG_SUFFIX = "_predict_output.log"
COMBINED_TABLE = "all_recordings.txt"
"""Of an export for Raven: all recordings of a run as one sequence; their own tables lie beside it."""
TABLE_SUFFIX = "_predict_output.log.annotation.result.txt"
MODEL_FILE = "ANIMAL-SPOT.pk"

_ROOT_REFERENCE = re.compile(r"\{(\w+)\}(?:/(.*))?", re.S)


@dataclass(frozen=True)
class Workspace:
    """A workspace folder and its named roots.

    Attributes
    ----------
    root
        Absolute path of the folder that holds `TRAINING/` and `BENCHMARK/`.
    roots
        Name → absolute folder; `data` is always there (`<root>/data` unless `workspace.toml` says otherwise).
    """

    root: Path
    roots: dict[str, Path] = field(default_factory=dict)

    def resolve(self, text: str) -> Path:
        """Return the path that a cfg or manifest value means.

        ``{name}/rest`` lies under a named root; a relative path lies under the workspace; an absolute one is
        itself. The value is never expanded by a shell: ``$`` and ``~`` are plain characters.

        Raises
        ------
        InputError
            When the named root is unknown; lists the known ones.
        """
        reference = _ROOT_REFERENCE.fullmatch(text)
        if reference is None:
            return self.root / text
        if reference[1] not in self.known_roots:
            known = ", ".join(f"{{{name}}}" for name in sorted(self.known_roots))
            raise InputError(f"{text}: no root named {reference[1]!r}; known: {known} (see [roots] in workspace.toml)")
        return self.known_roots[reference[1]] / (reference[2] or "")

    def expand(self, argument: str) -> str:
        """Return an argument of a command with the named root it may start with replaced by its folder.

        Anything else, relative paths too, stays as it is: commands of a manifest run in the workspace.
        """
        return str(self.resolve(argument)) if _ROOT_REFERENCE.fullmatch(argument) else argument

    def relative(self, path: Path) -> str:
        """Return `path` as a cfg or manifest value: :meth:`resolve` gives it back, also after a move."""
        path = path.absolute()
        if path.is_relative_to(self.root):  # also when a root lies inside the workspace, or around it
            return path.relative_to(self.root).as_posix()
        for name, folder in sorted(self.known_roots.items(), key=lambda item: -len(item[1].parts)):
            if path.is_relative_to(folder):
                return f"{{{name}}}/{path.relative_to(folder).as_posix()}"
        return path.as_posix()

    @property
    def known_roots(self) -> dict[str, Path]:
        """Named roots with `data` filled in."""
        return {"data": self.root / "data", **self.roots}

    @property
    def settings_file(self) -> Path:
        """`workspace.toml`."""
        return self.root / WORKSPACE_FILE

    @property
    def data(self) -> Path:
        """The folder of corpora."""
        return self.known_roots["data"]

    @property
    def training(self) -> Path:
        """`TRAINING/`."""
        return self.root / "TRAINING"

    def training_cfg(self, variant: str) -> Path:
        """The training cfg of a variant."""
        return self.training / "cfg" / variant / "alpaca_server.cfg"

    @property
    def training_jobs(self) -> Jobs:
        """Batch file, manifest and logs of the training stage."""
        return Jobs(self.training / "jobs")

    @property
    def models_root(self) -> Path:
        """`TRAINING/runs/models/`: one folder per model."""
        return self.training / "runs" / "models"

    def model_folder(self, model: str) -> Path:
        """The folder of one model: `models/`, `checkpoints/`, `logs/`, `summaries/`."""
        return self.models_root / model

    @property
    def forest(self) -> Path:
        """The forest that `rf-train` writes unless `workspace.toml` names another."""
        return self.training / "rf" / "forest.skops"

    def benchmark(self, set_name: str | None = None) -> Benchmark:
        """The benchmark tree, or the tree of one of its sets."""
        root = self.root / "BENCHMARK"
        return Benchmark(root if set_name is None else self.sets_root / set_name)

    @property
    def submissions(self) -> Path:
        """`submissions.jsonl`: every array that was handed to Slurm, one per line."""
        return self.benchmark().jobs.root / "submissions.jsonl"

    @property
    def sets_root(self) -> Path:
        """`BENCHMARK/sets/`: one benchmark tree per set."""
        return self.benchmark().root / "sets"

    @property
    def progress_root(self) -> Path:
        """`progress/`: one folder per stage."""
        return self.root / "progress"

    def progress_file(self, stage: str, task: str) -> Path:
        """`progress/<stage>/<task>.json`."""
        return self.progress_root / stage / f"{task}.json"


@dataclass(frozen=True)
class Benchmark:
    """One benchmark tree: cfgs, jobs, scores, runs and tables."""

    root: Path

    @property
    def cfg_root(self) -> Path:
        """`cfg/`."""
        return self.root / "cfg"

    def cfg(self, model: str, variant: str, kind: str) -> Path:
        """`cfg/<model>/<variant>/<kind>.cfg`; kind is `predict`, `eval` or `rf`."""
        return self.cfg_root / model / variant / f"{kind}.cfg"

    @property
    def jobs(self) -> Jobs:
        """Batch files, manifests and logs of this tree's stages."""
        return Jobs(self.root / "jobs")

    @property
    def runs(self) -> Path:
        """`runs/`: `<model>/<variant>/` below it."""
        return self.root / "runs"

    def run(self, model: str, variant: str) -> Path:
        """`runs/<model>/<variant>/`."""
        return self.runs / model / variant

    def prediction(self, model: str, variant: str) -> Path:
        """Text logs of a run; its score tracks lie in :meth:`scores`."""
        return self.run(model, variant) / "prediction"

    def tables(self, model: str, variant: str) -> Path:
        """Annotation tables of a run's evaluation."""
        return self.run(model, variant) / "evaluation" / "annotations"

    def layer_index(self, model: str, variant: str, layer: str) -> Path:
        """`index.json` of a run's layer, `evaluation` or `postrf`."""
        return self.run(model, variant) / layer / LAYER_INDEX

    def cutouts(self, model: str, variant: str, layer: str) -> Path:
        """Selections of a run's layer as files of their own."""
        return self.run(model, variant) / layer / "cutouts"

    @property
    def scores_root(self) -> Path:
        """`scores/`: `<model>/<window and hop>/` below it."""
        return self.root / "scores"

    def scores(self, model: str, sequence_ms: int, hop_ms: int) -> Path:
        """The score tracks that all variants with this window and hop share."""
        return self.scores_root / model / f"len{sequence_ms:03d}_hop{hop_ms:03d}"

    @property
    def metrics(self) -> Path:
        """`metrics.csv`."""
        return self.root / "metrics.csv"

    @property
    def metrics_per_tape(self) -> Path:
        """`metrics_per_tape.csv`."""
        return self.root / "metrics_per_tape.csv"


@dataclass(frozen=True)
class Jobs:
    """One `jobs/` folder: what its stages are to run, and what became of it."""

    root: Path

    def manifest(self, stage: str) -> Path:
        """`<stage>.manifest.jsonl`: one row per task."""
        return self.root / f"{stage}.manifest.jsonl"

    @property
    def logs(self) -> Path:
        """`job_logs/`."""
        return self.root / "job_logs"

    def log(self, stage: str, task: str) -> Path:
        """What a task printed when it ran without a cluster."""
        return self.logs / f"{stage}_{task}.log"

    def outcome(self, stage: str, index: int) -> Path:
        """How the row of the stage's manifest ended last: manifest digest, exit code, job."""
        return self.logs / f"{stage}_{index}.outcome.json"


def run_folders(runs: Path) -> list[Path]:
    """Return the `<model>/<variant>/` folders of `runs/`, sorted, without hidden ones (a sync program's trash).

    Raises
    ------
    InputError
        When there is no such folder.
    """
    if not runs.is_dir():
        raise InputError(f"{runs}: no such folder; --runs wants the folder of <model>/<variant>/ folders")
    found = (path for path in runs.glob("*/*") if path.is_dir())
    return sorted(path for path in found if not path.name.startswith(".") and not path.parent.name.startswith("."))


def forest_card(forest: Path) -> Path:
    """The card of a forest: `forest.skops` → `forest.card.json`."""
    return forest.with_suffix(".card.json")


def score_file(folder: Path, recording: str) -> Path:
    """The score track of a recording in `folder`."""
    return folder / (names.recording_stem(recording) + SCORE_SUFFIX)


def log_file(folder: Path, recording: str) -> Path:
    """The text log of a recording in `folder`."""
    return folder / (names.recording_stem(recording) + LOG_SUFFIX)


def table_file(folder: Path, recording: str) -> Path:
    """The annotation table of a recording in `folder`."""
    return folder / (names.recording_stem(recording) + TABLE_SUFFIX)


def model_file(folder: Path) -> Path:
    """Return the model in a model folder: `models/ANIMAL-SPOT.pk`, else the one `*.pk` or `*.pt` there.

    Raises
    ------
    InputError
        When there is none, or several and none has the usual name.
    """
    models = folder / "models"
    usual = models / MODEL_FILE
    if usual.is_file():
        return usual
    found = sorted(path for pattern in ("*.pk", "*.pt") for path in models.glob(pattern))
    if len(found) == 1:
        return found[0]
    listed = ", ".join(path.name for path in found) or "none"
    raise InputError(f"{models}: expected {MODEL_FILE} or exactly one *.pk or *.pt; found: {listed}")
