"""A command that is told to stop before it has done anything: while it still imports its libraries."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import builtins, importlib, os, signal, sys

command = importlib.import_module(sys.argv.pop(1))
library = sys.argv.pop(1)
assert library not in sys.modules
plain_import = builtins.__import__

def watched(name, *rest, **more):
    if name == library:
        builtins.__import__ = plain_import
        os.kill(os.getpid(), signal.SIGTERM)
    return plain_import(name, *rest, **more)

builtins.__import__ = watched
command.main()
"""


def told_to_stop_while_importing(command: str, library: str, *arguments: str) -> int:
    """Run the command of a module, send it SIGTERM when it imports a library, and return its exit code."""
    program = [sys.executable, "-c", _PROGRAM, command, library, *arguments]
    return subprocess.run(program, capture_output=True, timeout=120, check=False).returncode
