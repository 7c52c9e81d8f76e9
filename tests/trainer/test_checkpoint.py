"""The resumable state on disk."""

import pytest
import torch

from hum_shared.errors import InputError
from hum_trainer.checkpoint import load_checkpoint, save_checkpoint
from support.full_disk import full_disk


def test_equal_states_give_equal_files(tmp_path):
    for name in ("a.pt", "b.pt"):
        save_checkpoint(tmp_path / name, {"weights": torch.arange(5.0), "epoch": 3})
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()
    assert load_checkpoint(tmp_path / "a.pt")["epoch"] == 3


@pytest.mark.parametrize("content", [b"", b"no checkpoint", bytes(range(256))])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "a b.pt").write_bytes(content)
    with pytest.raises(InputError, match=r"a b\.pt: not a checkpoint .* start_from_scratch=true"):
        load_checkpoint(tmp_path / "a b.pt")


def test_a_full_disk_keeps_the_old_checkpoint(tmp_path):
    path = tmp_path / "a.pt"
    save_checkpoint(path, {"epoch": 3})
    with full_disk(), pytest.raises(OSError, match="File too large"):
        save_checkpoint(path, {"epoch": 4, "weights": torch.zeros(100_000)})
    assert load_checkpoint(path) == {"epoch": 3}
    assert list(tmp_path.iterdir()) == [path]
