"""Exit codes and messages, through real processes."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hum_shared.command import dashed_options


def _run(body: str, stdout: int | None = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    program = (
        "import sys\n"
        "from hum_shared.command import run_command\n"
        "from hum_shared.errors import *\n"
        f"def call():\n    {body}\n"
        "sys.exit(run_command(call))\n"
    )
    return subprocess.run(
        [sys.executable, "-c", program], stdout=stdout, stderr=subprocess.PIPE, text=True, check=False
    )


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("return 'ignored'", 0),
        ("raise CfgError('x')", 2),
        ("raise AudioError('x')", 2),
        ("raise MachineError('x')", 1),
        ("raise PartialFailure('x')", 3),
        ("raise Stopped('x')", 75),
        ("raise MemoryError", 1),
        ("raise KeyboardInterrupt", 130),
        ("raise SystemExit(2)", 2),
    ],
)
def test_exit_codes(body: str, code: int) -> None:
    assert _run(body).returncode == code


def test_an_expected_failure_is_one_line() -> None:
    done = _run(r"raise InputError('first\n\n  second')")
    assert done.stderr == "error: first second\n"


def test_names_are_shown_as_they_are() -> None:
    done = _run("from hum_shared.command import warn; warn('a  b.wav'); raise InputError('c  d.wav')")
    assert done.stderr == "warning: a  b.wav\nerror: c  d.wav\n"


def test_a_bug_shows_its_stack_trace() -> None:
    done = _run("{}['missing']")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "KeyError: 'missing'" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line() -> None:
    done = _run("f = open('/dev/full', 'w', buffering=1); f.write('x' + chr(10))")
    assert done.returncode == 1
    assert done.stderr.startswith("error: No space left on device")
    assert done.stderr.count("\n") == 1


def test_an_unwritable_folder_is_one_line_that_names_it() -> None:
    done = _run("import errno; raise PermissionError(errno.EACCES, 'Permission denied', '/out put')")
    assert done.returncode == 1
    assert done.stderr.startswith("error: Permission denied (/out put).")


@pytest.mark.parametrize("path", ["/no/such/file", "/dev/null/below a file", "/tmp", "/" + 300 * "x"])
def test_a_path_that_cannot_be_is_bad_input_and_named(path: str) -> None:
    done = _run(f"open({path!r}, 'a')")
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {path}: ")
    assert done.stderr.count("\n") == 1


def test_a_current_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    program = "import os, sys; from hum_shared.command import run_command as r; sys.exit(r(os.getcwd))"
    shell = f'cd "{gone}" && rmdir "{gone}" && exec "$0" -c "{program}"'
    done = subprocess.run(["bash", "-c", shell, sys.executable], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        2,
        "error: the current folder is gone: it was removed or moved. Go to another one, then run again.\n",
    )


def test_an_unexpected_os_error_shows_its_stack_trace() -> None:
    done = _run("import errno; raise OSError(errno.ECONNRESET, 'reset')")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_a_reader_that_leaves_is_no_bug() -> None:
    program = "from hum_shared.command import run_command as r; r(lambda: [print('x' * 1000) for _ in range(10000)])"
    shell = subprocess.run(
        ["bash", "-c", f'"$0" -c "{program}" | head -n 1', sys.executable], capture_output=True, text=True, check=False
    )
    assert shell.stdout == "x" * 1000 + "\n"
    assert shell.stderr == ""


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        (["prepare", "--data_root", "a_b"], ["prepare", "--data-root", "a_b"]),
        (["--data_root=my_data"], ["--data-root=my_data"]),
        (["--out", "x", "--", "--data_root"], ["--out", "x", "--", "--data_root"]),
        (["-n_x", "a_b", ""], ["-n_x", "a_b", ""]),
    ],
)
def test_older_option_spelling(given_: list[str], expected: list[str]) -> None:
    assert dashed_options(given_) == expected


@given(st.lists(st.text().filter(lambda text: not text.startswith("--"))))
def test_values_are_never_changed(arguments: list[str]) -> None:
    assert dashed_options(arguments) == arguments


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (
            "torch.OutOfMemoryError('CUDA out of memory. Tried 2 GiB' + chr(10) + 'more')",
            "error: out of GPU memory. Use",
        ),
        ("RuntimeError('CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling x')", "error: out of GPU memory. Use"),
        (
            "RuntimeError('The following failed in TorchScript' + chr(10) + 'CUDA out of memory. X')",
            "error: out of GPU",
        ),
        ("torch.AcceleratorError('CUDA error: unspecified launch failure', 719)", "error: the GPU failed; another try"),
        ("RuntimeError('cuDNN error: CUDNN_STATUS_EXECUTION_FAILED')", "error: the GPU failed; another try"),
    ],
)
def test_trouble_with_a_gpu_is_one_line(raised: str, said: str) -> None:
    pytest.importorskip("torch")
    done = _run(f"import torch; raise {raised}")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith(said)


@pytest.mark.parametrize(
    "body",
    [
        "torch.ones(2) @ torch.ones(3)",
        "raise RuntimeError('CUDA error: device-side assert triggered')",
        "raise RuntimeError('CUDA error: no kernel image is available for execution on the device')",
        "raise RuntimeError('CUDA error: CUBLAS_STATUS_INVALID_VALUE when calling x')",
        "raise RuntimeError('cuDNN error: CUDNN_STATUS_NOT_SUPPORTED')",
    ],
)
def test_what_would_come_again_shows_its_stack_trace(body: str) -> None:
    pytest.importorskip("torch")
    done = _run(f"import torch; {body}")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
