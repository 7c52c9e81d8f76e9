"""The `train` commands: from a feature CSV or from runs to a forest and its card on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from hum_rf_filter import __version__
from hum_rf_filter.candidates import find_candidates, find_tables
from hum_rf_filter.card import ForestCard, TrainingRecording, read_card, write_card
from hum_rf_filter.features import FEATURES_VERSION, FeatureSettings
from hum_rf_filter.forest_file import SKOPS_SUFFIX, write_forest
from hum_rf_filter.importance import write_picture
from hum_rf_filter.out_of_fold import KINDS, MIN_SAMPLES_LEAF
from hum_rf_filter.run_data import candidate_data
from hum_rf_filter.training import Trained, TrainingSettings, train_forest
from hum_rf_filter.training_data import TrainingData, read_training_data
from hum_shared import names
from hum_shared.command import warn
from hum_shared.errors import InputError
from hum_shared.files import sha256_file, sha256_json
from hum_shared.index import CorpusIndex, read_index
from hum_shared.locks import alone
from hum_shared.progress import Progress, track
from hum_shared.provenance import collect
from hum_shared.recordings import RecordingFolder
from hum_shared.scores import read_score_meta

_PACKAGES = ("hum-rf-filter", "scikit-learn", "skops", "librosa", "numpy", "scipy", "pandas", "joblib")


@dataclass(frozen=True)
class Training:
    """What a training did; `report` is None where nothing had to be done."""

    card: ForestCard
    report: str | None


def train_on_features(
    features: Path,
    out: Path,
    settings: TrainingSettings,
    feature_settings: FeatureSettings,
    progress_file: Path | None = None,
) -> Training:
    """Train on a feature CSV; see :func:`train_on_runs` for what is written.

    Parameters
    ----------
    features
        A CSV with `wave_file`, `selection`, feature columns and `validated_label`.
    feature_settings
        What the CSV was extracted with; it goes into the card.
    """
    _check_out(out)
    if not features.is_file():
        raise InputError(f"{features}: no such file. Write it with hum-rf-filter extract.")
    inputs = {"features": sha256_file(features)}
    return _train(out, settings, feature_settings, inputs, progress_file, lambda progress: read_training_data(features))


def train_on_runs(
    runs: Path,
    truth_file: Path,
    audio_dir: Path,
    out: Path,
    settings: TrainingSettings,
    feature_settings: FeatureSettings,
    scores: Path | None = None,
    workers: int = 0,
    progress_file: Path | None = None,
) -> Training:
    """Train on the candidates of all runs below a folder, labelled by ground truth.

    Writes the forest (`.skops`), its card and a picture of its features' importance beside it. Does nothing when
    all were made from the same tables, scores, recordings, ground truth and settings.

    Parameters
    ----------
    runs
        Searched for `evaluation/annotations/`.
    truth_file
        `corpus_index.json`.
    audio_dir
        Folder of the recordings; sub-folders count.
    out
        The forest; its name ends in `.skops`.
    settings
        But for these: both kinds of forest are compared, votes are calibrated, and all tapes are learned from, since
        folds across tapes tell how good it is.
    scores
        Folder of the runs' score tracks, or of a benchmark's `<model>/<window and hop>/`; None trains without the
        features that need them.
    workers
        Processes for the features; 0 for all CPUs this process may use.

    Raises
    ------
    InputError
        When something cannot be found or read, or does not suffice to train on.
    """
    _check_out(out)
    truth = read_index(truth_file, CorpusIndex)
    settings = replace(settings, kinds=tuple(KINDS), calibrated=True, hold_out=False)
    tables = find_tables(runs, scores)
    candidates = find_candidates(tables, RecordingFolder(audio_dir), truth)
    recordings = [
        TrainingRecording(name=name, tape=names.parse_recording(name).tape, sha256=path and sha256_file(path))
        for name, path in candidates.recordings.items()
    ]
    inputs = {table.path.relative_to(runs).as_posix(): sha256_file(table.path) for table in tables}
    inputs["ground truth"] = sha256_file(truth_file)
    inputs |= {f"recording {one.name}": one.sha256 or "" for one in recordings}
    tracks = {one.scores for rows in candidates.by_recording.values() for one in rows if one.scores is not None}
    inputs |= {f"scores {path.parent.name} {path.name}": read_score_meta(path).inputs_sha256 for path in tracks}

    def data(progress: Progress) -> TrainingData:
        for line in candidates.warnings:
            warn(line)
        return candidate_data(candidates, feature_settings, workers, progress)

    return _train(out, settings, feature_settings, inputs, progress_file, data, recordings)


def _train(
    out: Path,
    settings: TrainingSettings,
    feature_settings: FeatureSettings,
    inputs: dict[str, str],
    progress_file: Path | None,
    load: Callable[[Progress], TrainingData],
    recordings: Sequence[TrainingRecording] = (),
) -> Training:
    inputs_sha256 = sha256_json([inputs, asdict(settings), asdict(feature_settings), __version__, FEATURES_VERSION])
    with (
        alone(out, out.with_name(f".{out.name}.lock")),
        track("rf-train", out.name, "selections", file=progress_file) as progress,
    ):
        done = _finished(out, inputs_sha256)
        if done is not None:
            progress.advance(0, f"nothing to do: {out} is up to date")
            return Training(done, None)
        data = load(progress)
        for line in data.warnings:
            warn(line)
        progress.advance(0, "training")
        trained = train_forest(data, settings)
        for line in trained.warnings:
            warn(line)
        write_forest(out, trained.forest)
        picture = picture_path(out)
        if trained.importance:
            write_picture(picture, trained.importance, f"{out.name}: {trained.kind}")
        else:
            picture.unlink(missing_ok=True)
        # The card last: it says that all of it belongs together.
        card = _card(out, trained, data, settings, feature_settings, inputs_sha256, recordings)
        write_card(out, card)
    return Training(card, trained.report)


def picture_path(forest: Path) -> Path:
    """Return where the picture of a forest's importance lies: `forest.skops` → `forest.importance.png`."""
    return forest.with_suffix(".importance.png")


def _check_out(out: Path) -> None:
    if out.suffix.lower() != SKOPS_SUFFIX:
        raise InputError(f"--out {out}: forests are written with skops; let the name end in {SKOPS_SUFFIX}")


def _finished(out: Path, inputs_sha256: str) -> ForestCard | None:
    """Return the card of the forest at `out` if it was made from these inputs and settings."""
    if not out.is_file():
        return None
    try:
        card = read_card(out, sha256_file(out))
    except InputError:
        return None  # damaged, or an interrupted training: made anew
    if card is None or card.inputs_sha256 != inputs_sha256 or (card.importance and not picture_path(out).is_file()):
        return None
    return card


def _card(
    out: Path,
    trained: Trained,
    data: TrainingData,
    settings: TrainingSettings,
    feature_settings: FeatureSettings,
    inputs_sha256: str,
    recordings: Sequence[TrainingRecording],
) -> ForestCard:
    columns = [str(name) for name in trained.forest.feature_names_in_]
    given = [str(name) for name in data.features.columns]
    return ForestCard(
        model_file=out.name,
        model_sha256=sha256_file(out),
        classes={str(one): ("noise", "target")[int(one)] for one in trained.forest.classes_},
        feature_names=columns,
        medians=dict(trained.medians),
        thresholds=dict(trained.thresholds),
        metrics=dict(trained.metrics),
        grouped_by=trained.grouped_by,
        tapes=dict(trained.tapes),
        n_rows=dict(trained.n_rows),
        data_sha256=data.sha256,
        inputs_sha256=inputs_sha256,
        stft={"n_fft": feature_settings.n_fft, "hop": feature_settings.hop},
        mfcc={
            "n_mfcc": sum(1 for name in given if name.startswith("mfcc") and name.endswith("_mean")),
            "include_deltas": any(name.startswith("d_mfcc") for name in given),
        },
        training={**asdict(settings), "min_samples_leaf": MIN_SAMPLES_LEAF, "class_weight": "balanced"},
        provenance=collect(_PACKAGES, seed=settings.seed),
        forest=trained.kind,
        comparison={kind: dict(found) for kind, found in trained.comparison.items()},
        calibration=trained.calibration,
        importance=dict(trained.importance),
        recommended=trained.recommended,
        training_tapes=sorted({*data.tapes, *(one.tape for one in recordings)}),
        training_recordings=list(recordings),
        warnings=list(trained.warnings),
    )
