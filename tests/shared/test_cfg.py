from pathlib import Path
from typing import Literal, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, model_validator

from hum_shared.config.cfg import CfgModel, broken_rule, format_cfg, read_cfg, write_cfg
from hum_shared.errors import CfgError, InputError


class ScoringCfg(CfgModel):
    model_path: str
    hop_s: float = Field(0.1, gt=0)
    window_s: float = Field(0.4, gt=0)
    workers: int = Field(0, ge=0)
    recursive: bool = False
    device: Literal["cpu", "cuda"] | None = None

    @model_validator(mode="after")
    def _rules(self) -> Self:
        if self.hop_s > self.window_s:
            raise broken_rule("hop_s", f"hop_s {self.hop_s:g} s is longer than window_s {self.window_s:g} s")
        return self


def _read(folder: Path, text: str) -> ScoringCfg:
    path = folder / "Grün $1.cfg"
    path.write_bytes(text.encode())
    return read_cfg(path, ScoringCfg)


def _can_stand(text: str) -> bool:
    return text == text.strip() and text not in {"", "None"} and not set("\r\n") & set(text)


values = st.builds(
    ScoringCfg,
    model_path=st.text(st.characters(exclude_categories=["Cs"])).filter(_can_stand),
    hop_s=st.floats(1e-9, 1),
    window_s=st.floats(1, 1e9),
    workers=st.integers(0, 2**40),
    recursive=st.booleans(),
    device=st.sampled_from(["cpu", "cuda", None]),
)


@given(values)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, cfg: ScoringCfg) -> None:
    path = tmp_path_factory.getbasetemp() / "round_trip.cfg"
    write_cfg(path, cfg, comment="two\nlines")
    assert read_cfg(path, ScoringCfg) == cfg


@pytest.mark.parametrize("text", ["", " x", "x ", "a\nb", "a\rb", "None"])
def test_text_that_would_not_come_back_is_refused(text: str) -> None:
    with pytest.raises(CfgError, match="cannot stand in a cfg"):
        format_cfg(ScoringCfg(model_path=text))


def test_values_may_hold_equal_signs_hashes_and_quotes(tmp_path: Path) -> None:
    assert _read(tmp_path, 'model_path = a=b # "c" $x.pk \n').model_path == 'a=b # "c" $x.pk'


def test_bom_windows_line_ends_comments_and_unset_values(tmp_path: Path) -> None:
    cfg = _read(
        tmp_path, "\ufeff# first\r\n  # indented\r\n\r\nmodel_path=m.pk\r\ndevice=None\r\nworkers=\r\nsrc_dir=/old\r\n"
    )
    assert cfg == ScoringCfg(model_path="m.pk")


def test_only_line_feeds_end_a_line(tmp_path: Path) -> None:
    assert _read(tmp_path, "model_path=a\u2028b\x0cc\x85d.pk\n").model_path == "a\u2028b\x0cc\x85d.pk"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("hop=0.1", r"line 2: hop=0.1: unknown key 'hop'; did you mean 'hop_s'\?"),
        ("zzzzqqq=1", "line 2: zzzzqqq=1: unknown key 'zzzzqqq'; known keys: model_path, hop_s"),
        ("hop_s=-1", "line 2: hop_s=-1: input should be greater than 0"),
        ("hop_s=fast", "line 2: hop_s=fast: input should be a valid number"),
        ("hop_s=inf", "line 2: hop_s=inf: input should be a finite number"),
        ("hop_s=nan", "line 2: hop_s=nan: input should be"),
        ("workers=1.5", "line 2: workers=1.5: input should be a valid integer"),
        ("recursive=maybe", "line 2: recursive=maybe: input should be a valid boolean"),
        ("device=tpu", "line 2: device=tpu: input should be 'cpu' or 'cuda'"),
        ("hop_s=0.6", "line 2: hop_s 0.6 s is longer than window_s 0.4 s"),
        ("model_path=n.pk", r"line 2: model_path stands twice \(first on line 1\)"),
        ("just words", "line 2: 'just words' is not key=value"),
        ("=1", "line 2: '=1' is not key=value"),
    ],
)
def test_a_broken_rule_names_file_line_key_and_rule(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(CfgError, match=message) as caught:
        _read(tmp_path, f"model_path=m.pk\n{line}\n")
    assert str(caught.value).startswith(str(tmp_path / "Grün $1.cfg"))
    assert "\n" not in str(caught.value)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(CfgError, match=r"model_path is missing\. Add model_path="):
        _read(tmp_path, "hop_s=0.1\n")


def test_a_missing_or_binary_file_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_cfg(tmp_path / "none.cfg", ScoringCfg)
    (tmp_path / "binary.cfg").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8 text"):
        read_cfg(tmp_path / "binary.cfg", ScoringCfg)


def test_digest_depends_on_settings_alone(tmp_path: Path) -> None:
    a = _read(tmp_path, "model_path=m.pk\nhop_s=0.10\n")
    b = _read(tmp_path, "# other text\nhop_s=0.1\nmodel_path=m.pk\n")
    assert a.digest() == b.digest() != a.with_values(workers=2).digest()


def test_changed_values_are_checked_too() -> None:
    cfg = ScoringCfg(model_path="m.pk")
    assert cfg.with_values(workers=3).workers == 3
    with pytest.raises(ValueError, match="longer than window_s"):
        cfg.with_values(hop_s=3.0)
