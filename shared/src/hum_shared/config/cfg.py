"""The `.cfg` format: `key=value` lines, read into a model and written from one.

`#` starts a comment at the start of a line only; a value may hold `=`; `None` or nothing means unset; a BOM
and Windows line ends are accepted.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

from hum_shared.errors import CfgError
from hum_shared.files import read_text, sha256_json, write_text

_Cfg = TypeVar("_Cfg", bound="CfgModel")
_Model = TypeVar("_Model", bound=BaseModel)


class CfgModel(BaseModel):
    """Base of all cfg models: strict, frozen, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=())

    ignored_keys: ClassVar[frozenset[str]] = frozenset({"src_dir"})
    """Keys of the original programs that are accepted and mean nothing here."""

    written_when_given: ClassVar[frozenset[str]] = frozenset()
    """Keys that a written cfg holds only when they were given: their defaults may come from elsewhere."""

    def digest(self) -> str:
        """Return the SHA-256 of the settings."""
        return sha256_json(self.model_dump(mode="json"))

    def with_values(self, **changes: Any) -> Self:
        """Return a validated copy with some values changed."""
        return type(self).model_validate({**self.model_dump(exclude_unset=True), **changes})


def broken_rule(key: str, message: str) -> PydanticCustomError:
    """Return the error for a rule between keys; the reader adds the line on which `key` stands."""
    return PydanticCustomError("broken_rule", "{message}", {"message": message, "key": key})


def read_cfg(path: Path, model: type[_Cfg]) -> _Cfg:
    """Read a cfg file.

    Raises
    ------
    CfgError
        On the first broken rule; names file, line, key, value, rule and the nearest known key.
    InputError
        When the file cannot be read.
    """
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        key, equals, value = line.partition("=")
        key, value = key.strip(), value.strip()
        if not equals or not key:
            raise CfgError(f"{path} line {number}: {line.strip()!r} is not key=value")
        if key in lines:
            raise CfgError(f"{path} line {number}: {key} stands twice (first on line {lines[key]}). Remove one.")
        lines[key] = number
        if key not in model.model_fields and key not in model.ignored_keys:
            near = nearest_key(key, model.model_fields)
            raise CfgError(f"{path} line {number}: {key}={value}: unknown key {key!r}{near}")
        if value not in ("", "None") and key not in model.ignored_keys:
            values[key] = value
    try:
        return model.model_validate_strings(values)
    except ValidationError as error:
        raise CfgError(_explain(error, path, values, lines)) from None


def format_cfg(cfg: CfgModel, comment: str = "") -> str:
    """Return the text of a cfg; reading it gives an equal model. Unset values are left out."""
    out = [f"# {line}" for line in comment.splitlines()]
    for key in type(cfg).model_fields:
        value = getattr(cfg, key)
        if value is None or (key in cfg.written_when_given and key not in cfg.model_fields_set):
            continue
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if "\n" in text or "\r" in text or text != text.strip() or text in ("", "None"):
            raise CfgError(f"{key}={text!r} cannot stand in a cfg: no line breaks, no blanks at the ends, not empty")
        out.append(f"{key}={text}")
    return "\n".join(out) + "\n"


def write_cfg(path: Path, cfg: CfgModel, comment: str = "") -> None:
    """Write a cfg file atomically."""
    write_text(path, format_cfg(cfg, comment))


def validate(model: type[_Model], value: Any, source: Path | str) -> _Model:
    """Validate parsed JSON or TOML; the error names source, field, value, rule and the nearest known key."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        # An unknown key first: where one is missing, it is mostly this one that was misspelt.
        first = min(error.errors(include_url=False), key=lambda found: found["type"] != "extra_forbidden")
        where = ".".join(str(part) for part in first["loc"]) or "top level"
        near = ""
        if first["type"] == "extra_forbidden":
            near = nearest_key(str(first["loc"][-1]), _model_at(model, first["loc"][:-1]).model_fields)
        shown = f" (value {first['input']!r})" if not isinstance(first["input"], Mapping | list) else ""
        raise CfgError(f"{source}: {where}: {_rule(first)}{shown}{near}") from None


def _model_at(model: type[BaseModel], place: Sequence[int | str]) -> type[BaseModel]:
    """Return the model of an inner part, by its place in the whole; names in mappings and positions in lists count
    for nothing.
    """
    for part in place:
        field = model.model_fields.get(str(part))
        inner = None if field is None else _model_in(field.annotation)
        model = inner or model
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _model_in(inner)) is not None), None)


def _explain(error: ValidationError, path: Path, values: Mapping[str, str], lines: Mapping[str, int]) -> str:
    first = error.errors(include_url=False)[0]
    key = str(first["loc"][0]) if first["loc"] else str(first.get("ctx", {}).get("key", ""))
    if first["type"] == "missing":
        return f"{path}: {key} is missing. Add {key}=…"
    where = f" line {lines[key]}" if key in lines else ""
    shown = f"{key}={values[key]}: " if key in values and first["type"] != "broken_rule" else ""
    return f"{path}{where}: {shown}{_rule(first)}"


def _rule(detail: Any) -> str:
    message = str(detail["msg"]).removeprefix("Value error, ")
    return message[0].lower() + message[1:] if message[:1].isupper() else message


def nearest_key(key: str, known: Mapping[str, Any]) -> str:
    """Return the end of a message about an unknown key: the nearest known one, or all of them."""
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known keys: {', '.join(known)}"
