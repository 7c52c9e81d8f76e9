import numpy as np
import pytest
import soundfile

from hum_shared.audio import probe
from hum_shared.errors import AudioError
from hum_trainer.cutting import cut


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("channels", [1, 2])
def test_samples_rate_channels_and_depth_stay_as_they_are(tmp_path, subtype, channels):
    source, target = tmp_path / "Süd $1.wav", tmp_path / "cut.wav"
    samples = np.random.default_rng(0).uniform(-1, 1, (8000, channels))
    soundfile.write(source, samples, 22050, subtype=subtype)
    cut(source, target, 0.1, 0.2)
    info = probe(target)
    assert (info.sample_rate, info.channels, info.subtype, info.frames) == (22050, channels, subtype, 4410)
    kind = "float64" if subtype == "DOUBLE" else "int32" if subtype.startswith("PCM") else "float32"
    original, _ = soundfile.read(source, start=2205, stop=6615, dtype=kind)
    np.testing.assert_array_equal(soundfile.read(target, dtype=kind)[0], original)


def test_a_compressed_recording_becomes_16_bit(tmp_path):
    soundfile.write(tmp_path / "a.flac", np.zeros(800), 8000, subtype="PCM_24")
    soundfile.write(tmp_path / "b.ogg", np.zeros(8000), 8000)
    cut(tmp_path / "a.flac", tmp_path / "a.wav")
    cut(tmp_path / "b.ogg", tmp_path / "b.wav")
    assert probe(tmp_path / "a.wav").subtype == "PCM_24"
    assert probe(tmp_path / "b.wav").subtype == "PCM_16"


def test_float_files_carry_no_time_stamp(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(800), 8000, subtype="FLOAT")
    cut(tmp_path / "a.wav", tmp_path / "b.wav")
    content = (tmp_path / "b.wav").read_bytes()
    time_at = content.index(b"PEAK") + 12
    assert content[time_at : time_at + 4] == bytes(4)


def test_a_part_that_ends_a_rounding_behind_the_file_is_moved(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.arange(800) / 1000, 8000, subtype="FLOAT")
    cut(tmp_path / "a.wav", tmp_path / "b.wav", 0.051, 0.05)
    samples, _ = soundfile.read(tmp_path / "b.wav")
    assert len(samples) == 400
    assert samples[-1] == pytest.approx(0.799)


def test_a_part_behind_the_file_is_an_error(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(800), 8000)
    with pytest.raises(AudioError, match=r"a\.wav: is 0\.100 s long"):
        cut(tmp_path / "a.wav", tmp_path / "b.wav", 0.1, 0.1)
    assert not (tmp_path / "b.wav").exists()
