"""Index files: what a corpus, a training dataset and a set of predictions contain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from hum_shared import names
from hum_shared.errors import IndexFileError, InputError, NameFormatError
from hum_shared.files import read_json, sha256_json, write_json

SCHEMA_VERSION = 1
_DIFFERS_FROM_RUN_TO_RUN = frozenset({"generated_at", "created_at", "provenance"})
_Index = TypeVar("_Index", bound=BaseModel)


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)


Tape = Annotated[str, AfterValidator(names.composed)]
"""A tape's full name, composed: one and the same however the file system spells it."""


class RecordingInfo(_Record):
    """One recording that was looked at, whether or not anything was found in it."""

    name: str = Field(description="full file name: the recording's identity")
    tape: Tape
    offset_s: float = Field(description="where the recording starts on its tape, s")
    dur_s: float = Field(description="length of the file, s")
    sha256: str | None = Field(default=None, description="digest of the file's bytes")
    scored_s: list[tuple[float, float]] | None = Field(
        default=None,
        description="begin and end (s of the file) of the only parts that were scored; None, and left out: all of it",
        exclude_if=lambda parts: parts is None,
    )

    def heard_s(self) -> list[tuple[float, float]]:
        """Return begin and end of the parts that were scored, in seconds of the tape, in the order of the file."""
        parts = [(0.0, self.dur_s)] if self.scored_s is None else self.scored_s
        return [(start + self.offset_s, end + self.offset_s) for start, end in parts]


# --- corpus_index.json -----------------------------------------------------------------------------------


class CorpusMeta(_Record):
    """Head of a corpus index; every field is optional, since old files lack some."""

    schema_version: int = SCHEMA_VERSION
    corpus_name: str | None = None
    n_raw_recordings: int | None = None
    n_labelled_clips: int | None = None
    n_hums: int | None = None
    avg_raw_duration_h: float | None = None
    avg_hum_duration_s: float | None = None
    clip_duration_s: float | None = None
    avg_clip_duration_s: float | None = None
    generated_at: str | None = None
    recordings: list[RecordingInfo] | None = None


class CorpusEntry(_Record):
    """One labelled hum. Paths are relative to the corpus; `clip_*` are clip time, `raw_*` tape time (s)."""

    uid: int
    corpus_name: str | None = None
    hum_path: str | None = None
    clip_path: str
    raw_path: str | None = None
    quality: int | None = None
    dur_s: float
    clip_dur_s: float | None = None
    clip_start_s: float
    clip_end_s: float
    raw_start_s: float
    raw_end_s: float
    clip_uid: int | None = None
    raw_uid: int | None = None

    @property
    def tape(self) -> str:
        """The raw recording's full name."""
        return names.parse_recording(self.raw_path or self.clip_path).tape

    @property
    def recording(self) -> str:
        """The labelled clip's full file name."""
        return Path(self.clip_path).name


class Counts(_Record):
    """Hums of one clip or tape, in all and by quality."""

    n_hums: int
    qualities: dict[str, int] = Field(default_factory=dict)


class Distribution(_Record):
    """How hums spread over clips and tapes, by their uid."""

    per_clip: dict[str, Counts] = Field(default_factory=dict)
    per_raw: dict[str, Counts] = Field(default_factory=dict)


class CorpusIndex(_Record):
    """`corpus_index.json`."""

    meta: CorpusMeta = Field(default_factory=CorpusMeta)
    distribution: Distribution = Field(default_factory=Distribution)
    entries: list[CorpusEntry]


# --- variant_index.json ----------------------------------------------------------------------------------


class VariantMeta(_Record):
    """Head of a dataset's index."""

    schema_version: int = SCHEMA_VERSION
    created_at: str
    split_strategy: str
    seed: int
    n_total: int
    n_target: int
    n_noise: int
    split_counts: dict[str, int]
    recordings: dict[str, dict[str, str | None]] | None = Field(
        None, description="part → recording that clips were cut from → SHA-256; None in older files: unknown"
    )


class VariantEntry(_Record):
    """One training clip; times are tape time."""

    uid: int
    fn: str = Field(description="file name within the dataset")
    class_: str = Field(alias="class")
    label: str
    tape_key: str = Field(description="raw_path, or clip_path where there is no raw recording")
    clip_path: str
    quality: int | None
    source: Literal["labelled", "clip", "raw"]
    start_ms: int
    end_ms: int
    start_s: float
    end_s: float
    split: Literal["train", "val", "test"]
    spectrogram_path: str | None = None

    model_config = ConfigDict(populate_by_name=True)


class VariantIndex(_Record):
    """`variant_index.json`."""

    meta: VariantMeta
    entries: list[VariantEntry]


# --- evaluation/index.json and postrf/index.json ---------------------------------------------------------


class PredictionMeta(_Record):
    """Head of a prediction index. `recordings` is None in old files: hours and empty ones are unknown."""

    schema_version: int = SCHEMA_VERSION
    generated_at: str | None = None
    n_preds: int | None = None
    recordings: list[RecordingInfo] | None = None
    tables: dict[str, str] | None = Field(None, description="table → its SHA-256 as it was written")
    models: list[str] | None = Field(None, description="SHA-256 of the model files whose scores were decoded")
    tuned_on: dict[str, Any] | None = Field(None, description="what the decoder file says that it was tuned on")
    provenance: dict[str, Any] | None = None


def _tape_of(name: str) -> str:
    try:
        return names.parse_recording(name).tape
    except NameFormatError:  # a clip that ends before it starts
        return name


class PredictionEntry(_Record):
    """One selection; `start_s`/`end_s` are recording time, `tape_*` tape time (s)."""

    uid: int
    pred_path: str = Field(description="the annotation table, relative to the run")
    tape: Tape
    recording: str | None = None
    start_s: float
    end_s: float
    dur_s: float
    tape_start_s: float | None = None
    tape_end_s: float | None = None
    label: str | None = None
    cnn_logit_mean: float | None = None
    score_max: float | None = None
    rf_prob: float | None = None
    confidence: float | None = Field(None, description="the decoder's, higher is surer; None where unknown")

    @model_validator(mode="before")
    @classmethod
    def _tape_from_names(cls, value: Any) -> Any:
        """Give an entry of an old file its tape: the name up to its first `.wav`, or what a name without one says."""
        if not isinstance(value, dict) or value.get("tape") is not None:
            return value
        name = str(value.get("recording") or "") or _of_table(str(value.get("pred_path", "")))[0]
        stem, _, _ = name.partition(".wav")
        if stem == name and names.is_audio(name):  # b.flac, X.WAV
            return {**value, "tape": _tape_of(name)}
        return {**value, "tape": stem + ".wav"} if stem else value

    def tape_interval_s(self) -> tuple[float, float]:
        """Return start and end on the tape.

        An index without tape times is read with the offset its recording's name carries; an old one, whose
        recording is unknown, has the table's name to go by, and else its times are tape times.
        """
        if self.tape_start_s is not None and self.tape_end_s is not None:
            return self.tape_start_s, self.tape_end_s
        offset_s = names.parse_recording(self.recording_name).offset_s
        return self.start_s + offset_s, self.end_s + offset_s

    @property
    def recording_name(self) -> str:
        """Full name of its recording; an old index only names its table, or the tape."""
        stem, is_ours = _of_table(self.pred_path)
        return self.recording or (stem + ".wav" if is_ours else self.tape)


def _of_table(pred_path: str) -> tuple[str, bool]:
    """Return what a table's name says of its recording, and whether the name is of the form that we write."""
    name = Path(pred_path).name
    stem, mark, _ = name.rpartition("_predict_output")
    return (stem, True) if mark else (name, False)


class PredictionIndex(_Record):
    """`evaluation/index.json` or `postrf/index.json`."""

    meta: PredictionMeta = Field(default_factory=PredictionMeta)
    entries: list[PredictionEntry]

    @property
    def selections_sha256(self) -> str:
        """The digest of what is selected: of where, when and what, not of how sure."""
        return sha256_json([[one.recording or one.tape, one.start_s, one.end_s, one.label] for one in self.entries])


def read_index(path: Path, kind: type[_Index]) -> _Index:
    """Read an index file as `kind` (:class:`CorpusIndex`, :class:`VariantIndex`, :class:`PredictionIndex`).

    Raises
    ------
    IndexFileError
        When it does not have the shape of `kind`; names the first field that is wrong.
    InputError
        When it cannot be read or is not JSON.
    """
    try:
        return kind.model_validate(read_json(path))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "top level"
        raise IndexFileError(f"{path}: not a {kind.__name__}: {where}: {first['msg']}") from None


def write_index(path: Path, index: BaseModel) -> None:
    """Write an index file atomically."""
    write_json(path, index.model_dump(mode="json", by_alias=True))


def update_index(path: Path, index: BaseModel) -> bool:
    """Write an index file unless the one there says the same; return whether it was written.

    When and where an index was made (`meta.generated_at`, `meta.created_at`, `meta.provenance`) does not count:
    what depends on the file's bytes is not done again for that.
    """
    if path.exists():
        try:
            before = read_index(path, type(index))
        except InputError:
            before = None  # damaged, or of another shape: replaced
        if before is not None and _content(before) == _content(index):
            return False
    write_index(path, index)
    return True


def _content(index: BaseModel) -> dict[str, Any]:
    content = index.model_dump(mode="json", by_alias=True)
    content["meta"] = {k: v for k, v in content["meta"].items() if k not in _DIFFERS_FROM_RUN_TO_RUN}
    return content
