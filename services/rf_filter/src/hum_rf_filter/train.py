"""The `train` commands: from a feature CSV or from runs to a forest and its card on disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from hum_rf_filter import __version__
from hum_rf_filter.candidates import candidate_data, find_candidates, find_tables
from hum_rf_filter.card import ForestCard, read_card, write_card
from hum_rf_filter.features import FeatureSettings
from hum_rf_filter.forest_file import SKOPS_SUFFIX, write_forest
from hum_rf_filter.training import MIN_SAMPLES_LEAF, Trained, TrainingSettings, train_forest
from hum_rf_filter.training_data import TrainingData, read_training_data
from hum_shared.command import warn
from hum_shared.errors import InputError
from hum_shared.files import sha256_file, sha256_json
from hum_shared.index import CorpusIndex, read_index
from hum_shared.progress import Progress, track
from hum_shared.provenance import collect
from hum_shared.recordings import RecordingFolder

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
    workers: int = 0,
    progress_file: Path | None = None,
) -> Training:
    """Train on the candidates of all runs below a folder, labelled by ground truth.

    Writes the forest (`.skops`) and its card beside it. Does nothing when both were made from the same tables,
    recordings, ground truth and settings.

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
    workers
        Processes for the features; 0 for all CPUs this process may use.

    Raises
    ------
    InputError
        When something cannot be found or read, or does not suffice to train on.
    """
    _check_out(out)
    truth = read_index(truth_file, CorpusIndex)
    tables = find_tables(runs)
    candidates = find_candidates(tables, RecordingFolder(audio_dir), truth)
    inputs = {table.relative_to(runs).as_posix(): sha256_file(table) for table in tables}
    inputs["ground truth"] = sha256_file(truth_file)
    inputs |= {f"recording {path.name}": sha256_file(path) for path in candidates.by_recording}

    def data(progress: Progress) -> TrainingData:
        for line in candidates.warnings:
            warn(line)
        return candidate_data(candidates, truth, feature_settings, workers, progress)

    return _train(out, settings, feature_settings, inputs, progress_file, data)


def _train(
    out: Path,
    settings: TrainingSettings,
    feature_settings: FeatureSettings,
    inputs: dict[str, str],
    progress_file: Path | None,
    load: Callable[[Progress], TrainingData],
) -> Training:
    inputs_sha256 = sha256_json([inputs, asdict(settings), asdict(feature_settings), __version__])
    with track("rf-train", out.name, "selections", file=progress_file) as progress:
        done = _finished(out, inputs_sha256)
        if done is not None:
            progress.advance(0, f"nothing to do: {out} is up to date")
            return Training(done, None)
        data = load(progress)
        for line in data.warnings:
            warn(line)
        progress.advance(0, "training")
        trained = train_forest(data, settings)
        if trained.grouped_by == "time block":
            warn(
                f"targets and noise come from {len(set(data.tapes))} tape(s), too few to judge across tapes: folds are "
                "blocks of time within tapes, and all measures too good for a new tape"
            )
        elif not trained.tapes["test"]:
            warn(f"{len(trained.tapes['train'])} tapes are too few to hold some out: there is no test, only folds")
        write_forest(out, trained.forest)
        card = _card(out, trained, data, settings, feature_settings, inputs_sha256)
        write_card(out, card)
    return Training(card, trained.report)


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
    return card if card is not None and card.inputs_sha256 == inputs_sha256 else None


def _card(
    out: Path,
    trained: Trained,
    data: TrainingData,
    settings: TrainingSettings,
    feature_settings: FeatureSettings,
    inputs_sha256: str,
) -> ForestCard:
    columns = [str(name) for name in data.features.columns]
    return ForestCard(
        model_file=out.name,
        model_sha256=sha256_file(out),
        classes={"0": "noise", "1": "target"},
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
            "n_mfcc": sum(1 for name in columns if name.startswith("mfcc") and name.endswith("_mean")),
            "include_deltas": any(name.startswith("d_mfcc") for name in columns),
        },
        training={**asdict(settings), "min_samples_leaf": MIN_SAMPLES_LEAF, "class_weight": "balanced"},
        provenance=collect(_PACKAGES, seed=settings.seed),
    )
