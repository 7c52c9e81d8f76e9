"""The pipeline's exceptions: expected failures that end a command with one line and a fixed exit code.

::

    HumError                     exit  what happened
    ├── InputError               2     bad input or cfg: never retried
    │   ├── CfgError             a cfg, variant, site or workspace file breaks a rule
    │   ├── NameFormatError      a file name does not follow the grammar
    │   ├── AudioError           a recording cannot be read as it should
    │   ├── TableError           a selection table, log or CSV has the wrong shape
    │   ├── IndexFileError       an index file has the wrong shape
    │   └── ModelError           a model or forest file is not one, or does not fit
    ├── MachineError             1     no GPU, disk full, out of memory: may work elsewhere
    ├── PartialFailure           3     finished, but some recordings failed
    └── Stopped                  75    stopped on a signal after saving its state

Anything else that escapes a command is a bug and shows its stack trace (exit 1).
"""

from __future__ import annotations


class HumError(Exception):
    """Base of all expected failures; the message is one line: what, where, what to do."""

    exit_code = 1


class InputError(HumError):
    """Bad input or configuration; running it again changes nothing."""

    exit_code = 2


class CfgError(InputError):
    """A configuration file breaks a rule."""


class NameFormatError(InputError):
    """A file name does not follow the grammar of :mod:`hum_shared.names`."""


class AudioError(InputError):
    """A recording is missing, empty, truncated, not audio, or holds unusable samples."""


class TableError(InputError):
    """A selection table, text log or CSV cannot be read."""


class IndexFileError(InputError):
    """An index file cannot be read."""


class ModelError(InputError):
    """A model or forest file cannot be loaded, or does not fit the settings."""


class MachineError(HumError):
    """The machine lacks something; the same task may succeed on another one."""

    exit_code = 1


class PartialFailure(HumError):
    """Everything that could be done is done; some recordings failed and are named."""

    exit_code = 3


class Stopped(HumError):
    """Stopped on a signal with all state saved; to be requeued."""

    exit_code = 75
