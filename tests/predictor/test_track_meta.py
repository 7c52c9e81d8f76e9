"""Whether a score track that is there still says what it would now."""

from pathlib import Path
from typing import Any

import pytest

from hum_predictor.track_meta import is_current
from hum_shared.scores import read_score_meta
from support.score_tracks import write_track


@pytest.mark.parametrize(
    ("change", "current"), [({}, True), ({"frames": 7}, False), ({"inputs_sha256": "d" * 64}, False)]
)
def test_a_track_of_other_inputs_or_of_another_length_is_made_anew(
    tmp_path: Path, change: dict[str, Any], current: bool
) -> None:
    path = write_track(tmp_path, "a.wav", [0.1, 0.9])
    assert is_current(path, read_score_meta(path).model_copy(update=change)) == current


def test_a_track_that_is_not_there_or_damaged_is_made_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_track(tmp_path, "a.wav", [0.1, 0.9])
    meta = read_score_meta(path)
    path.write_bytes(b"broken")
    assert not is_current(path, meta)
    assert "scoring again" in capsys.readouterr().err
    path.unlink()
    assert not is_current(path, meta)
