"""A polite stop: SIGUSR1, SIGTERM and Ctrl-C are noted, and the work asks at its own safe points."""

from __future__ import annotations

import signal
from types import FrameType

from hum_shared.errors import Stopped


class StopRequest:
    """Notes that a signal asked the process to stop.

    Slurm sends SIGUSR1 some minutes before a time limit and SIGTERM on preemption; a person presses Ctrl-C
    (SIGINT). A command installs one of these, calls :meth:`check` where its state is saved, and ends with exit
    code 75 to be requeued. A second Ctrl-C interrupts it where it is.
    """

    def __init__(self) -> None:
        self.signal_name: str | None = None

    def install(self) -> StopRequest:
        """Listen for SIGUSR1, SIGTERM and SIGINT; only possible in the main thread."""
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)
        return self

    @property
    def requested(self) -> bool:
        """Whether a signal has come."""
        return self.signal_name is not None

    def check(self, state: str) -> None:
        """Raise :class:`~hum_shared.errors.Stopped` if a signal has come; `state` says what is saved."""
        if self.requested:
            raise Stopped(f"stopped on {self.signal_name}; {state}. Run the same command again to go on.")

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.signal_name = signal.Signals(number).name
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)
