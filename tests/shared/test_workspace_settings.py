from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hum_shared.config.workspace import WorkspaceSettings, format_settings, read_settings
from hum_shared.errors import CfgError

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
ROOT_NAMES = st.from_regex(r"[A-Za-z0-9_]+", fullmatch=True)


@given(site=TEXTS, corpus=st.none() | TEXTS, roots=st.dictionaries(ROOT_NAMES, TEXTS))
def test_settings_round_trip_with_any_text(
    tmp_path_factory: pytest.TempPathFactory, site: str, corpus: str | None, roots: dict[str, str]
) -> None:
    folder = tmp_path_factory.mktemp("workspace")
    settings = WorkspaceSettings(site=site, benchmark_corpus=corpus, roots=roots)
    (folder / "workspace.toml").write_text(format_settings(settings), encoding="utf-8", newline="\n")
    assert read_settings(folder) == settings


def test_a_root_that_no_cfg_could_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "workspace.toml").write_text('[roots]\n"big disk" = "/x"\n')
    with pytest.raises(CfgError, match="roots"):
        read_settings(tmp_path)
