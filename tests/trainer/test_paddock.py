import itertools
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from hum_shared.errors import InputError
from hum_shared.names import canonical_hum, parse_hum, parse_recording
from hum_trainer.paddock import Paddock, compose_tape, synthesise, tape_names

SMALL = Paddock(minutes_per_tape=0.5, clip_minutes=0.2, sample_rate=8000, hums_per_minute=12, seed=3)


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    for folder, seed in (("a", 3), ("b", 3), ("c", 4)):
        synthesise(tmp_path / folder, tapes=tape_names(2), paddock=Paddock(0.4, 0.2, 8000, seed=seed))
    assert _contents(tmp_path / "a") == _contents(tmp_path / "b")
    assert _contents(tmp_path / "a") != _contents(tmp_path / "c")


def test_a_tape_does_not_depend_on_the_other_tapes(tmp_path: Path) -> None:
    first, second = tape_names(2)
    synthesise(tmp_path / "both", tapes=[first, second], paddock=SMALL)
    synthesise(tmp_path / "one", tapes=[second], paddock=SMALL)
    raw = f"raw_recordings/{second}"
    assert (tmp_path / "both" / raw).read_bytes() == (tmp_path / "one" / raw).read_bytes()


def test_clips_and_hums_are_exact_parts_of_their_tape(tmp_path: Path) -> None:
    corpus = tmp_path / "Grüne Weide $1"
    n_hums = synthesise(corpus, tapes=tape_names(2), paddock=SMALL)
    hums = sorted((corpus / "segmented").iterdir())
    assert len(hums) == n_hums > 0
    for path in hums:
        assert canonical_hum(path.name) == path.name
        hum = parse_hum(path.name)
        clip = parse_recording(hum.clip)
        assert (corpus / "labelled_recordings" / hum.clip).is_file()
        tape, rate = soundfile.read(corpus / "raw_recordings" / clip.tape, dtype="int16")
        cut_out = soundfile.read(path, dtype="int16")[0]
        start = round((clip.offset_s + hum.start_s) * rate)
        np.testing.assert_array_equal(cut_out, tape[start : start + cut_out.size])
        assert cut_out.size == round((hum.end_s - hum.start_s) * rate)
        assert soundfile.info(path).subtype == "PCM_16"


def test_clips_cover_the_tape_and_the_last_takes_the_rest() -> None:
    edges = Paddock(minutes_per_tape=3.4, clip_minutes=1).clip_edges_ms()
    assert edges == [(0, 60_000), (60_000, 120_000), (120_000, 204_000)]
    assert Paddock(minutes_per_tape=0.2, clip_minutes=1).clip_edges_ms() == [(0, 12_000)]


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 1000), st.floats(0, 20), st.sampled_from([0.02, 0.1, 0.3]))
def test_hums_keep_their_distance_from_each_other_and_from_clip_edges(seed: int, rate: float, clip: float) -> None:
    paddock = Paddock(0.3, clip, 8000, hums_per_minute=rate, distractors_per_minute=0)
    hums = compose_tape(np.random.default_rng(seed), paddock)[1]
    for one, other in itertools.pairwise(hums):
        assert other.start_ms - one.end_ms >= 200
    for hum in hums:
        assert any(start + 200 <= hum.start_ms < hum.end_ms <= end - 200 for start, end in paddock.clip_edges_ms())
        assert 300 <= hum.end_ms - hum.start_ms <= 2000


def test_sound_begins_and_ends_where_the_annotation_says() -> None:
    paddock = Paddock(0.5, 0.5, 16000, distractors_per_minute=0, snr_db=(60, 60))
    samples, hums = compose_tape(np.random.default_rng(1), paddock)
    power = samples.astype(float) ** 2
    assert hums
    for hum in hums:
        start, end = hum.start_ms * 16, hum.end_ms * 16
        inside = power[start:end].mean()
        # Up to the release the sound is there at once; behind the end only reverberation is left.
        assert power[start - 1600 : start].mean() < 1e-3 * inside
        assert power[start : start + 1600].mean() > 0.05 * inside
        assert power[end - 1600 : end].mean() > 0.05 * inside
        assert power[end + 1600 : end + 3200].mean() < 1e-3 * inside


def test_level_over_the_background_is_the_one_drawn() -> None:
    loud, quiet = (
        compose_tape(np.random.default_rng(5), Paddock(0.5, 0.5, 16000, 8, 0, snr_db=(snr, snr))) for snr in (20.0, 0.0)
    )
    hum = loud[1][0]
    assert hum == type(hum)(hum.start_ms, hum.end_ms, 20.0)
    part = slice(hum.start_ms * 16, hum.end_ms * 16)
    spectra = [np.abs(np.fft.rfft(samples[part].astype(float))) ** 2 for samples, _ in (loud, quiet)]
    frequency = np.fft.rfftfreq(part.stop - part.start, 1 / 16000)
    in_band = (frequency > 100) & (frequency < 4000)
    ratio_db = 10 * np.log10(spectra[0][in_band].sum() / spectra[1][in_band].sum())
    # Hum plus wind: 20 dB gives 101 parts of the background's power, 0 dB gives 2.
    assert ratio_db == pytest.approx(10 * np.log10(101 / 2), abs=1.5)


def test_default_levels_spread_over_the_three_qualities() -> None:
    hums = compose_tape(np.random.default_rng(2), Paddock(4, 1, 8000, distractors_per_minute=0))[1]
    assert min(sum(hum.quality == quality for hum in hums) for quality in (1, 2, 3)) >= 5


def test_writing_again_is_a_no_op_and_other_settings_are_refused(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    assert synthesise(corpus, tapes=tape_names(1), paddock=SMALL) > 0
    before = {path: path.stat().st_mtime_ns for path in corpus.rglob("*")}
    assert synthesise(corpus, tapes=tape_names(1), paddock=SMALL) == 0
    with pytest.raises(InputError, match="is not empty"):
        synthesise(corpus, tapes=tape_names(2), paddock=SMALL)
    assert {path: path.stat().st_mtime_ns for path in corpus.rglob("*")} == before


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("mine")
    with pytest.raises(InputError, match="Name a new folder"):
        synthesise(tmp_path, tapes=tape_names(1), paddock=SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["diary.txt"]


def test_what_an_interrupted_run_left_does_not_disturb_the_next(tmp_path: Path) -> None:
    left = tmp_path / ".corpus.part" / "segmented"
    left.mkdir(parents=True)
    (left / "stale.wav").write_bytes(b"")
    synthesise(tmp_path / "corpus", tapes=tape_names(1), paddock=SMALL)
    assert not (tmp_path / "corpus" / "segmented" / "stale.wav").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


@pytest.mark.parametrize("changed", [{"sample_rate": 4000}, {"hums_per_minute": 50}, {"snr_db": (9, 3)}])
def test_settings_that_cannot_be_are_refused(changed: dict[str, object]) -> None:
    with pytest.raises(InputError, match=next(iter(changed))):
        Paddock(**changed)  # type: ignore[arg-type]


def test_tape_names_follow_the_grammar_and_differ() -> None:
    parsed = [parse_recording(name) for name in tape_names(20, first_animal=97)]
    assert all(name.follows_grammar for name in parsed)
    assert len({name.animal for name in parsed}) == 20


def test_rain_is_another_background_and_hums_stand_in_it_as_asked():
    settings = {"minutes_per_tape": 1.0, "snr_db": (-5.0, -5.0), "distractors_per_minute": 0.0, "seed": 3}
    tapes = {}
    for background in ("wind", "rain"):
        tape, hums = compose_tape(np.random.default_rng(3), Paddock(**settings, background=background))
        assert len(hums) == 10
        tapes[background] = np.abs(np.fft.rfft(tape.astype(float))) ** 2
    hz = np.fft.rfftfreq(16000 * 60, 1 / 16000)
    share = {name: power[(hz > 1000) & (hz < 4000)].sum() / power.sum() for name, power in tapes.items()}
    assert share["rain"] > 1.5 * share["wind"]
