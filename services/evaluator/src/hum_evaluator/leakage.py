"""The leakage certificate: whether a benchmark's tapes or audio were seen in training, tuning or by the filter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hum_shared import names
from hum_shared.config.decoding import DECODER_FILE
from hum_shared.files import read_json
from hum_shared.index import PredictionMeta, RecordingInfo
from hum_shared.layout import Workspace, forest_card
from hum_shared.words import listed

CARD_FILE = "model.json"

_SHOWN = 3

_T = TypeVar("_T")


@dataclass(frozen=True)
class Seen:
    """What one source of a run's settings has seen.

    Attributes
    ----------
    source
        For example ``training``, ``tuning`` or ``filter``.
    tapes
        Tapes by part (train, val, test; or one part), as the file names them.
    digests
        SHA-256 of audio files → name, where the file tells them.
    all_digests
        The file tells one for every recording.
    scored_unseen
        It is several networks, and each tape's own scores come from one that has not seen it.
    """

    source: str
    tapes: dict[str, tuple[str, ...]]
    digests: dict[str, str]
    scored_unseen: bool = False
    all_digests: bool = True


@dataclass(frozen=True)
class Overlap:
    """What a source has seen of the benchmark."""

    source: str
    part: str
    tapes: tuple[str, ...]
    same_audio: tuple[str, ...]


@dataclass(frozen=True)
class Certificate:
    """What is known of the data behind one run.

    Attributes
    ----------
    sources
        What was seen, for each file that tells.
    missing
        What could not be checked, and why; one line each.
    overlaps
        Benchmark data that was seen; none is as it should be.
    by_audio
        The digest of every recording is known, on both sides: copies under another name would have been found.
    """

    sources: tuple[Seen, ...]
    missing: tuple[str, ...]
    overlaps: tuple[Overlap, ...]
    by_audio: bool = True

    def with_more(self, other: Certificate) -> Certificate:
        """Return what is known of the data behind several runs of a model."""

        def both(mine: tuple[_T, ...], theirs: tuple[_T, ...]) -> tuple[_T, ...]:
            return *mine, *(one for one in theirs if one not in mine)

        return Certificate(
            both(self.sources, other.sources),
            both(self.missing, other.missing),
            both(self.overlaps, other.overlaps),
            self.by_audio and other.by_audio,
        )

    @property
    def lines(self) -> list[str]:
        """The overlaps in words, one line each."""
        said = []
        for one in self.overlaps:
            if one.tapes:
                count = f"{len(one.tapes)} benchmark tape{'s' if len(one.tapes) > 1 else ''}"
                said.append(f"leakage: {count} in {one.source} ({one.part}): {listed(one.tapes, _SHOWN)}")
            if one.same_audio:
                said.append(
                    f"leakage: the audio of benchmark recordings is in {one.source}: {listed(one.same_audio, _SHOWN)}"
                )
        return said


def certify(benchmark: Sequence[RecordingInfo], sources: Iterable[Seen], missing: Iterable[str] = ()) -> Certificate:
    """Compare what was scored with what was seen.

    Tapes are compared by name (as training clips carry it: without suffix, ``_`` as ``-``), audio by digest, so
    that a copy under another name is found too.
    """
    sources = tuple(sources)
    tapes = {names.tape_key(one.tape): one.tape for one in benchmark}
    overlaps = []
    for seen in sources:
        for part, part_tapes in seen.tapes.items():
            shared = sorted({tapes[key] for tape in part_tapes if (key := names.tape_key(tape)) in tapes})
            if shared:
                overlaps.append(Overlap(seen.source, part, tuple(shared), ()))
        same = sorted({one.name for one in benchmark if one.sha256 is not None and one.sha256 in seen.digests})
        if same:
            overlaps.append(Overlap(seen.source, "audio", (), tuple(same)))
    by_audio = all(one.sha256 is not None for one in benchmark) and all(seen.all_digests for seen in sources)
    return Certificate(sources, tuple(missing), tuple(overlaps), by_audio)


def learnt_in_sample(sources: Iterable[Seen]) -> list[str]:
    """Return which of a run's settings were learnt from scores of tapes that its network was trained on, a line each.

    That leaks nothing of the benchmark, but such scores are surer than those of other tapes.
    """
    sources = list(sources)
    trained = {
        names.tape_key(tape): tape
        for seen in sources
        if seen.source == "training" and not seen.scored_unseen
        for tape in seen.tapes.get("train", ())
    }
    said = []
    for seen in sources:
        keys = {names.tape_key(tape) for tapes in seen.tapes.values() for tape in tapes}
        shared = sorted(trained[key] for key in keys & trained.keys())
        if shared and seen.source != "training":
            said.append(
                f"{seen.source} learnt from scores of tapes that the network was trained on: {listed(shared, _SHOWN)}"
            )
    return said


def sources_of_run(
    meta: PredictionMeta, model: str, layer: str, workspace: Workspace
) -> tuple[list[Seen], list[str], list[str]]:
    """Return what stands behind a run's layer: its model, what its decoder was tuned on, after the filter also that.

    Returns
    -------
    sources
        What is known to have been seen.
    missing
        What is not known, a line each.
    replaced
        A line for each file that was made anew since: what it says is not of these predictions, and left out.

    Raises
    ------
    InputError
        When a file is there and cannot be read.
    """
    folder, replaced = workspace.model_folder(model), list[str]()
    sources, missing = sources_of_model(folder)
    if meta.models is not None and _is_of_another(folder / "models" / CARD_FILE, meta.models):
        sources = [one for one in sources if one.source != "training"]
        replaced.append(
            f"{model}: trained again since it made these scores, so its training tapes are not known any more. "
            "Score the recordings again"
        )
    if meta.tuned_on is not None:  # what this run was decoded with, wherever that file lies
        sources = [one for one in sources if one.source != "tuning"] + [source_of_tuning(meta.tuned_on)]
    extra = meta.model_extra or {}
    forest = extra.get("rf_model")
    if layer == "postrf" and isinstance(forest, str):
        path = workspace.resolve(forest)
        used = extra.get("rf_model_sha256")
        if isinstance(used, str) and _is_of_another(forest_card(path), [used]):
            replaced.append(
                f"{path.name}: trained again since it filtered these, so the filter's training tapes are not known any "
                "more. Filter the runs again"
            )
        else:
            more_sources, more_missing = source_of_forest(path)
            sources, missing = [*sources, *more_sources], [*missing, *more_missing]
    return sources, missing, replaced


def _is_of_another(card: Path, used: Sequence[str]) -> bool:
    """Whether a card belongs to another file than those that were used; not where it does not say."""
    content = read_json(card) if card.is_file() else None
    digest = content.get("model_sha256") if isinstance(content, dict) else None
    return isinstance(digest, str) and digest not in used


def sources_of_model(model_folder: Path) -> tuple[list[Seen], list[str]]:
    """Return what a model's card and the `decoder.json` beside it say was seen, and what they do not say.

    Parameters
    ----------
    model_folder
        ``TRAINING/runs/models/<model>``.

    Raises
    ------
    InputError
        When a file is there and cannot be read.
    """
    card, decoder = model_folder / "models" / CARD_FILE, model_folder / "models" / DECODER_FILE
    sources, missing = [], []
    if card.is_file():
        data = _part(read_json(card), "training_data")
        tapes = data.get("tapes")
        if isinstance(tapes, dict):
            unseen = isinstance(data.get("networks"), list)
            sources.append(_seen("training", _by_part(tapes), data.get("recordings"), unseen))
        else:
            missing.append(f"{model_folder.name}: its card does not name the training tapes")
    else:
        missing.append(f"{model_folder.name}: no model card, so its training tapes are unknown")
    if decoder.is_file():
        sources.append(source_of_tuning(_part(read_json(decoder), "tuned_on")))
    return sources, missing


def source_of_tuning(tuned_on: Mapping[str, Any]) -> Seen:
    """Return what `tuned_on` of a decoder file, or of an index that was made with one, says was seen."""
    rows = [row for row in tuned_on.get("tapes", []) if isinstance(row, dict)]
    recordings = [one for row in rows for one in row.get("recordings", [])]
    return _seen("tuning", {"tuned": tuple(str(row.get("tape")) for row in rows)}, recordings)


def source_of_forest(forest: Path) -> tuple[list[Seen], list[str]]:
    """Return what a forest's card says was seen, and what it does not say.

    Raises
    ------
    InputError
        When the card is there and cannot be read.
    """
    path = forest_card(forest)
    if not path.is_file():
        return [], [f"{forest.name}: no card, so the filter's training tapes are unknown"]
    card = read_json(path)
    if not isinstance(card, dict):
        return [], [f"{path.name}: not a forest's card, so the filter's training tapes are unknown"]
    tapes = _by_part(_part(card, "tapes"))
    told = {tape for part in tapes.values() for tape in part}
    more = tuple(str(tape) for tape in card.get("training_tapes") or () if str(tape) not in told)
    if more:
        tapes["train"] = (*tapes.get("train", ()), *more)
    return [_seen("filter", tapes, card.get("training_recordings"))], []


def _seen(source: str, tapes: dict[str, tuple[str, ...]], recordings: Any, scored_unseen: bool = False) -> Seen:
    named = _named(recordings)
    digests = {digest: name for name, digest in named if digest}
    return Seen(source, tapes, digests, scored_unseen, bool(named) and all(digest for _, digest in named))


def _part(value: Any, key: str) -> dict[str, Any]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _by_part(tapes: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    return {str(part): tuple(map(str, found)) for part, found in tapes.items() if isinstance(found, list)}


def _named(recordings: Any) -> list[tuple[str, str | None]]:
    """Return (name, digest or None) of a list of {name, sha256}, of a dict name → digest, or of such by part."""
    if isinstance(recordings, list):
        rows = [row for row in recordings if isinstance(row, dict)]
        return [(str(row.get("name") or row.get("recording") or ""), row.get("sha256") or None) for row in rows]
    found: list[tuple[str, str | None]] = []
    for name, value in recordings.items() if isinstance(recordings, dict) else ():
        if isinstance(value, dict | list):
            found += _named(value)
        else:
            found.append((str(name), value if isinstance(value, str) else None))
    return found
