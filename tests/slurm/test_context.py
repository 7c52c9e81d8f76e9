from __future__ import annotations

import os
from pathlib import Path

import pytest

from hum_shared.errors import InputError
from hum_slurm.context import open_context
from hum_slurm.factories.benchmark import plan_benchmark
from support.slurm_workspace import make_workspace


@pytest.mark.parametrize("name", ["two\nlines", "a\ttab"])
def test_a_name_that_would_break_a_line_of_a_script_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="holds a control character"):
        open_context(tmp_path / name)


@pytest.mark.parametrize("where", ["workspace", "model", "corpus"])
def test_a_name_that_is_no_text_is_one_line(tmp_path: Path, where: str) -> None:
    odd = os.fsdecode(b"odd \xff")
    root = make_workspace(tmp_path / (odd if where == "workspace" else "w"))
    models = root / "TRAINING/runs/models" / (odd if where == "model" else "m") / "models"
    models.mkdir(parents=True)
    (models / "ANIMAL-SPOT.pk").write_bytes(b"weights")
    corpus = root / "data/bench"
    if where == "corpus":
        corpus = corpus.rename(corpus.with_name(odd))
    with pytest.raises(InputError, match=r"odd \\udcff.*: a name in this path is no UTF-8.* Rename it\.$"):
        plan_benchmark(open_context(root), corpus_root=str(corpus))
