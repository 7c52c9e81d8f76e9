"""The edge of every console command: option spelling, signals, one-line errors, exit codes."""

from __future__ import annotations

import ctypes
import errno
import importlib
import multiprocessing
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Sequence

from hum_shared.errors import HumError, InputError

_INTERRUPTED = "interrupted; what was finished is kept, run the same command again to go on."
_INTERRUPTED_CODE = 130
PARENT_VARIABLE = "HUM_PARENT_PID"
"""Environment variable by which a process tells those that it starts to end when it does."""
_PR_SET_PDEATHSIG = 1  # of Linux' prctl
_OPTION = re.compile(r"--[A-Za-z][\w-]*")
_MACHINE_ERRNOS = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
    errno.ENOMEM,
}


_PATH_ERRNOS = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP}
_GPU_FAILED = ("CUDA error", "CUDNN_STATUS", "CUBLAS_STATUS", "CUFFT_")
_GPU_WAS_MISUSED = (  # would come again: bugs, or a torch that is not for this GPU
    "device-side assert", "no kernel image", "illegal memory access", "invalid argument", "invalid configuration",
    "_INVALID_VALUE", "_BAD_PARAM", "_NOT_SUPPORTED",
)  # fmt: skip


def dashed_options(arguments: Sequence[str]) -> list[str]:
    """Spell long options with dashes, so that the older ``--data_root`` works like ``--data-root``.

    Only the option's own name changes: values, also those after ``=``, and everything after a bare ``--``
    stay as they are.
    """
    out: list[str] = []
    for position, argument in enumerate(arguments):
        if argument == "--":
            return out + list(arguments[position:])
        option = _OPTION.match(argument)
        out.append(option[0].replace("_", "-") + argument[option.end() :] if option else argument)
    return out


def run_command(call: Callable[[], object]) -> int:
    """Run a command and turn its outcome into an exit code.

    Parameters
    ----------
    call
        The command. Its return value is ignored; it fails by raising.

    Returns
    -------
    int
        0, or the exit code of the :class:`~hum_shared.errors.HumError` it raised, or 1 for trouble with the
        machine (disk, memory: one line) and for bugs (stack trace), or 130 after Ctrl-C.
    """
    end_with_parent()
    try:
        call()
    except HumError as error:
        _error(str(error))
        return error.exit_code
    except MemoryError:
        _error("out of memory. Use a smaller batch_size or block_seconds, or ask for more memory.")
        return 1
    except KeyboardInterrupt:
        _error(_INTERRUPTED)
        return _INTERRUPTED_CODE
    except SystemExit as ended:  # typer's way to end, after --help, a wrong option, or Ctrl-C
        if ended.code == _INTERRUPTED_CODE:
            _error(_INTERRUPTED)
        raise
    except BrokenPipeError:  # `… | head`: the reader left; there is nobody to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if not _has_folder():
            _error("the current folder is gone: it was removed or moved. Go to another one, then run again.")
            return InputError.exit_code
        paths = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, (str, bytes))]
        if error.errno in _PATH_ERRNOS and paths:
            _error(f"{' or '.join(paths)}: {error.strerror}. Correct the path, or what lies there.")
            return InputError.exit_code
        if error.errno not in _MACHINE_ERRNOS:
            traceback.print_exc()
            return 1
        where = f" ({error.filename})" if error.filename else ""
        _error(f"{error.strerror}{where}. Nothing is half-written; make room or fix permissions, then run again.")
        return 1
    except Exception as error:
        if (line := _gpu_trouble(error)) is None:
            traceback.print_exc()
        else:
            _error(line)
        return 1
    return 0


def _gpu_trouble(error: Exception) -> str | None:
    """Return in a line what went wrong on a GPU; None where it was something else, or a bug."""
    if not isinstance(error, RuntimeError):
        return None
    text = str(error)
    line = next((one for one in text.splitlines() if any(sign in one for sign in (*_GPU_FAILED, "out of memory"))), "")
    if is_gpu_memory(error):
        return f"out of GPU memory. Use a smaller batch_size, a GPU with more memory, or device=cpu. ({line[:160]})"
    if line and not any(sign in text for sign in _GPU_WAS_MISUSED):
        return f"the GPU failed; another try, or another node, may succeed. ({line[:160]})"
    return None


def is_gpu_memory(error: RuntimeError) -> bool:
    """Whether an error of torch says that a GPU's memory is too small; TorchScript and libraries say it in words."""
    text = str(error)
    return any(sign in text for sign in ("CUDA out of memory", "CUDA error: out of memory", "STATUS_ALLOC_FAILED"))


def _has_folder() -> bool:
    try:
        os.getcwd()  # noqa: PTH109 (Path.cwd() is the same call)
    except FileNotFoundError:
        return False
    return True


def run_app(module: str) -> int:
    """Import the module of a command line and run its `app` on this process's arguments; see :func:`run_command`.

    The import is part of the command: libraries take seconds to load, and Ctrl-C may come meanwhile.
    """
    return run_command(lambda: importlib.import_module(module).app(dashed_options(sys.argv[1:])))


def end_with_parent() -> None:
    """Have SIGTERM sent to this process when the one that started it ends, where that one asked for it (Linux only).

    A run that is killed outright cannot stop its tasks: they would go on, beside those of the next run. The signal
    comes when the *thread* ends that started this process, so that should be the starter's main one. What starts a
    container stands between the two: nothing happens there.
    """
    parent = os.environ.pop(PARENT_VARIABLE, "")  # what this process starts is its own affair
    if parent == str(os.getppid()):
        _follow(int(parent), signal.SIGTERM)


def die_with_parent() -> None:
    """Have this worker process of a pool killed when the one that started it ends, also if that was killed itself."""
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid is not None:
        _follow(parent.pid, signal.SIGKILL)


def _follow(parent: int, number: signal.Signals) -> None:
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:  # it ended just before
        os.kill(os.getpid(), number)


def say(message: str) -> None:
    """Tell the person at the terminal, or the job log, one line."""
    print(message, flush=True)


def warn(message: str) -> None:
    """Print a one-line warning to standard error: the work goes on, but somebody should know."""
    print(f"warning: {_one_line(message)}", file=sys.stderr, flush=True)


def _error(message: str) -> None:
    print(f"error: {_one_line(message)}", file=sys.stderr, flush=True)


def _one_line(message: str) -> str:
    # Names stay as they are, two spaces in them, too.
    return " ".join(line.strip() for line in message.splitlines() if line.strip())
