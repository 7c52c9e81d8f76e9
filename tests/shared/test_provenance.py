import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import hum_shared
from hum_shared import provenance

SOURCE = Path(provenance.__file__)
ASK = "from hum_shared.provenance import git_commit; print(git_commit())"


def _git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", "-C", folder, *who, *arguments], check=True, capture_output=True, text=True).stdout


def _copy_of_the_package(folder: Path) -> Path:
    package = folder / "hum_shared"
    package.mkdir(parents=True)
    for name in ("__init__.py", "provenance.py", "files.py", "errors.py"):
        (package / name).write_text((SOURCE.parent / name).read_text())
    return package


def _asked(folder: Path) -> str:
    # -S and -P keep the installed package out of the way; pydantic is found through this process's path.
    path = f"import sys; sys.path[:] = [{str(folder)!r}] + {sys.path!r}; "
    return subprocess.run([sys.executable, "-c", path + ASK], check=True, capture_output=True, text=True).stdout.strip()


def test_what_is_known_stands_in_it() -> None:
    made = provenance.collect(["numpy", "no-such-package"], cfg_sha256="c", inputs={"a.wav": "d"}, seed=7)
    assert made.code_version == hum_shared.__version__
    assert made.packages == {"numpy": np.__version__}
    assert (made.cfg_sha256, made.inputs, made.seed) == ("c", {"a.wav": "d"}, 7)
    assert provenance.Provenance.model_validate_json(made.model_dump_json()) == made


def test_the_image_names_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HUM_IMAGE_SHA256", raising=False)
    assert provenance.collect([]).image_digest is None
    monkeypatch.setenv("HUM_IMAGE_SHA256", "abc")
    assert provenance.collect([]).image_digest == "abc"


def test_an_image_that_sees_its_own_file_takes_its_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = tmp_path / "trainer ü $1.sif"
    image.write_bytes(b"squashed")
    monkeypatch.delenv("HUM_IMAGE_SHA256", raising=False)
    monkeypatch.setenv("APPTAINER_CONTAINER", str(image))
    assert provenance.collect([]).image_digest == hashlib.sha256(b"squashed").hexdigest()
    monkeypatch.setenv("APPTAINER_CONTAINER", str(tmp_path / "not shown.sif"))
    assert provenance.collect([]).image_digest is None


def test_an_image_says_which_commit_it_was_built_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUM_GIT_COMMIT", "0123abc-dirty")
    assert provenance.collect([]).git_commit == "0123abc-dirty"


def test_time_is_utc_to_the_second() -> None:
    assert provenance.utc_now().endswith("+00:00")
    assert "." not in provenance.utc_now()


def test_the_commit_is_that_of_the_checkout_the_code_lies_in(tmp_path: Path) -> None:
    package = _copy_of_the_package(tmp_path)
    _git(tmp_path, "init", "-q")
    _git(tmp_path, "add", str(package))
    _git(tmp_path, "commit", "-qm", "x")
    assert _asked(tmp_path) == _git(tmp_path, "rev-parse", "HEAD").strip()


def test_a_checkout_around_the_environment_does_not_count(tmp_path: Path) -> None:
    _copy_of_the_package(tmp_path / "env")
    (tmp_path / "thesis.tex").touch()
    _git(tmp_path, "init", "-q")
    _git(tmp_path, "add", "thesis.tex")
    _git(tmp_path, "commit", "-qm", "x")
    assert _asked(tmp_path / "env") == "None"


def test_code_outside_a_checkout_has_no_commit(tmp_path: Path) -> None:
    _copy_of_the_package(tmp_path)
    assert _asked(tmp_path) == "None"
