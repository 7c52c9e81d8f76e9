import numpy as np
import pytest

from hum_trainer.pictures import log_power


def test_a_tone_is_loudest_at_its_frequency_and_all_within_80_db():
    samples = np.sin(2 * np.pi * 1000 * np.arange(8000) / 8000).astype(np.float32)
    db, hop_s = log_power(samples, 8000)
    assert db.max() == 0
    assert db.min() == -80
    loudest = np.argmax(db[:, db.shape[1] // 2]) * 4000 / (len(db) - 1)
    assert loudest == pytest.approx(1000, abs=20)
    assert (db.shape[1] - 1) * hop_s == pytest.approx(1, abs=hop_s)


@pytest.mark.parametrize("n", [1, 15, 64, 1001])
def test_short_and_silent_clips_have_a_picture(n):
    db, _ = log_power(np.zeros(n, np.float32), 48000)
    assert db.shape[1] >= 1
    assert (db == 0).all()
