"""What the test that every image brings says about locks and what is installed."""

import importlib.util
from importlib.metadata import version
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "containers" / "selftest.py"
_spec = importlib.util.spec_from_file_location("selftest", SCRIPT)
selftest = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(selftest)


def lock_line(name, pinned, condition=""):
    return f"{name}=={pinned}{condition} \\\n    --hash=sha256:0123\n    # via -r test.in\n"


def test_what_is_installed_as_locked_is_right():
    assert selftest.wrong_versions(lock_line("numpy", version("numpy")) + lock_line("pytest", version("pytest"))) == []


def test_another_version_is_wrong():
    assert selftest.wrong_versions(lock_line("numpy", "1.0")) == [f"numpy is {version('numpy')}, not 1.0"]


def test_what_is_missing_is_wrong_unless_it_has_a_condition():
    assert selftest.wrong_versions(lock_line("no-such-thing", "1.0")) == ["no-such-thing 1.0 is missing"]
    assert selftest.wrong_versions(lock_line("no-such-thing", "1.0", " ; sys_platform == 'win32'")) == []


def test_torch_may_name_its_flavour():
    pinned = version("torch").partition("+")[0]
    assert selftest.wrong_versions(f"torch=={pinned}\ntorchaudio=={version('torchaudio').partition('+')[0]}") == []


def test_what_a_distribution_needs_is_there_or_named(tmp_path, monkeypatch):
    assert selftest.missing_requirements("hum-evaluator") == []
    info = tmp_path / "hum_listener-0.1.0.dist-info"
    info.mkdir()
    needs = ["numpy>=2", "no-such-thing[extra]>=1", "other-thing ; extra == 'x'"]
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: hum-listener\nVersion: 0.1.0\n" + "".join(f"Requires-Dist: {x}\n" for x in needs)
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert selftest.missing_requirements("hum-listener") == ["no-such-thing"]


def test_every_module_of_a_package_is_imported(tmp_path, monkeypatch):
    package = tmp_path / "hum_listener"
    (package / "ears").mkdir(parents=True)
    for name in ("__init__.py", "ears/__init__.py"):
        (package / name).touch()
    (package / "__main__.py").write_text("raise SystemExit(9)")
    monkeypatch.syspath_prepend(tmp_path)
    selftest.import_everything("hum_listener")
    (package / "ears" / "inner.py").write_text("import no_such_thing")
    with pytest.raises(ModuleNotFoundError, match="no_such_thing"):
        selftest.import_everything("hum_listener")


def test_no_lock_is_kept():
    assert selftest.wrong_versions("# nothing\n") == []
