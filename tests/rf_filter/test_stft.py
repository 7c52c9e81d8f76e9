"""Power spectrograms of many segments equal librosa's of each."""

import librosa
import numpy as np
import pytest

from hum_rf_filter import stft


@pytest.mark.parametrize(("n_fft", "hop"), [(512, 256), (512, 100), (255, 100)])
def test_blocks_equal_librosa_segment_by_segment(n_fft: int, hop: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stft, "_BLOCK_BYTES", 7 * n_fft * 8)  # blocks of seven frames end within segments
    rng = np.random.default_rng(0)
    segments = [rng.normal(size=n).astype(np.float32) for n in (n_fft, 5 * n_fft + 3, n_fft + 1, 3000)]
    expected = [np.abs(librosa.stft(y, n_fft=n_fft, hop_length=hop).T) ** 2 for y in segments]
    counts = stft.frame_counts(np.array([len(y) for y in segments]), n_fft, hop)
    found = np.concatenate(list(stft.power_blocks(segments, n_fft, hop)))
    assert counts.tolist() == [len(one) for one in expected]
    np.testing.assert_allclose(found, np.concatenate(expected), rtol=1e-5, atol=1e-6)


def test_a_segment_shorter_than_a_frame_has_one_frame() -> None:
    (block,) = stft.power_blocks([np.ones(1, dtype=np.float32)], 512, 256)
    assert block.shape == (1, 257)


def test_no_segments_give_no_blocks() -> None:
    assert list(stft.power_blocks([], 512, 256)) == []
