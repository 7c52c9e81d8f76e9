"""Which recordings a benchmark scores: the folder of labelled clips, or what `--predict-in` names."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from hum_shared.config.cfg import read_cfg
from hum_shared.config.prediction import PredictionCfg
from hum_shared.errors import InputError, NameFormatError
from hum_shared.index import CorpusIndex, read_index
from hum_shared.layout import CORPUS_INDEX, LABELLED, SCORE_SUFFIX, Benchmark
from hum_shared.names import parse_recording, recording_stem
from hum_shared.recordings import corpus_folder, find_recordings
from hum_slurm.context import Context
from hum_slurm.plan import Plan

_N_NAMED = 5


def what_to_score(
    context: Context, plan: Plan, corpus_root: str | None, predict_in: str | None, recursive: bool
) -> tuple[Path | None, Path]:
    """Return the corpus with the ground truth, None where there is none, and what is scored.

    Where the corpus named says nothing of the recordings named, there is none, and the plan warns.

    Raises
    ------
    InputError
        When neither a corpus nor recordings are named, they are not there, or two would share a score track.
    """
    if recursive and predict_in is None:
        raise InputError("--recursive looks below the folder --predict-in: name that, or leave it out")
    recordings = context.given(predict_in, None)
    found: Sequence[Path] = ()
    if recordings is not None:
        remedy = "Correct --predict-in." if recursive else "Correct --predict-in, or add --recursive."
        found = find_recordings(recordings, recursive=recursive, remedy=remedy)
        if corpus_root is None:
            return None, recordings
    corpus = context.given(corpus_root, context.settings.benchmark_corpus)
    if corpus is None:
        raise InputError(
            "no benchmark corpus: give --corpus-root DIR, or benchmark_corpus in workspace.toml; for recordings "
            "without labels, --predict-in and --set NAME alone"
        )
    if not corpus.is_dir():
        raise InputError(f"{corpus}: no such corpus folder; name the right one with --corpus-root")
    if recordings is None:
        return corpus, labelled_recordings(corpus)
    index = corpus / CORPUS_INDEX
    if _has_truth(index, found):
        return corpus, recordings
    plan.warn(
        f"{recordings}: no recording there is of a tape in {index}, so there is nothing to compare. Leave "
        "--corpus-root out for recordings without labels, name the corpus that has theirs, or index it again"
    )
    return None, recordings


def _has_truth(index: Path, found: Sequence[Path]) -> bool:
    """Whether an index knows a tape of these recordings; also where it is still to be written."""
    if not index.is_file():
        return True
    truth = read_index(index, CorpusIndex)
    tapes = {known.tape for known in (*truth.entries, *(truth.meta.recordings or ()))}
    return not tapes or any(_tape_of(path) in tapes for path in found)


def _tape_of(path: Path) -> str | None:
    try:
        return parse_recording(path.name).tape
    except NameFormatError:  # the predictor reports it, of this recording alone
        return None


def refuse_other_recordings(context: Context, benchmark: Benchmark, recordings: Path) -> None:
    """Keep a set from being planned for other recordings than it was, by a command without its arguments.

    Raises
    ------
    InputError
        When its cfgs name others.
    """
    for path in sorted(benchmark.cfg_root.glob("*/*/predict.cfg")):
        text = read_cfg(path, PredictionCfg).input_file
        if context.workspace.resolve(text) != recordings:
            raise InputError(
                f"{benchmark.root}: this set is of {text}, not of {recordings}. To write it again, name these with "
                "--predict-in (and what else was given), or a corpus with --corpus-root."
            )


def warn_of_other_tracks(plan: Plan, folders: Iterable[Path], recordings: Path, *, recursive: bool) -> None:
    """Warn of score tracks that lie where the tracks of these recordings go and are of others.

    They would be decoded and compared with them: clips that were cut anew since, recordings of another corpus.
    """
    tracks = [path for folder in sorted(folders) for path in sorted(folder.glob(f"[!.]*{SCORE_SUFFIX}"))]
    if not tracks:
        return
    try:
        found = find_recordings(recordings, recursive=recursive)
    except InputError:
        return  # none there yet, or twins: the predictor says so
    stems = {recording_stem(path.name) for path in found}
    others = [path for path in tracks if path.name.removesuffix(SCORE_SUFFIX) not in stems]
    if others:
        named = shlex.join(["rm", "--", *map(str, others[:_N_NAMED])])
        more = f" (and {len(others) - _N_NAMED} more)" if len(others) > _N_NAMED else ""
        plan.warn(
            f"{len(others)} score tracks are of recordings that {recordings} does not hold, and would be "
            f"evaluated with the others. Remove them: {named}{more}; or keep recordings apart with --set NAME"
        )


def labelled_recordings(corpus: Path) -> Path:
    """Return the one folder of a corpus whose name contains `labelled_recordings`, as `hum-trainer` finds it.

    Raises
    ------
    InputError
        When there is none, or more than one.
    """
    if not corpus.is_dir():
        raise InputError(f"{corpus}: no such corpus folder")
    found = corpus_folder(corpus, LABELLED)
    if found is None:
        raise InputError(f"{corpus}: no folder whose name contains {LABELLED}. Name the recordings with --predict-in.")
    return found
