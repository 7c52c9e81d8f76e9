"""Which recording of a corpus a table, or a row of one, belongs to, by their names."""

from __future__ import annotations

from collections.abc import Iterable

from hum_shared import names


class Owners:
    """The recordings of a corpus, found by the names of tables and by what rows say.

    Parameters
    ----------
    recordings
        Full file names.
    """

    def __init__(self, recordings: Iterable[str]) -> None:
        self._by_name: dict[str, list[str]] = {}
        self._by_stem: dict[str, list[str]] = {}
        for recording in sorted(recordings):
            name = names.composed(recording)
            self._by_name.setdefault(name, []).append(recording)
            self._by_stem.setdefault(names.recording_stem(name), []).append(recording)

    def of_table(self, table: str) -> str | None:
        """Return the recording that a table's file name starts with, the longest such name; None for none of them."""
        table = names.composed(table)
        for length in range(len(table), 0, -1):
            if table[length : length + 1].isalnum():  # `a1.txt` is no table of `a.wav`
                continue
            found = self._by_name.get(table[:length]) or self._by_stem.get(table[:length])
            if found:
                return found[-1]
        return None

    def named(self, file: str) -> list[str]:
        """Return the recordings that a row may mean by a file name: those of that name, else those of its stem."""
        name = names.composed(file)
        return self._by_name.get(name) or self._by_stem.get(names.recording_stem(name)) or []
