"""Settings proposed for corpora of very different animals."""

import numpy as np
import pytest
import soundfile

from hum_shared.config.training import FROM_DATA, RECIPE_DEFAULTS, TrainingCfg
from hum_shared.errors import AudioError, CfgError
from hum_trainer.call_measures import CallMeasures, band_edges_hz, heard_bands, measure_calls
from hum_trainer.indexing import index_corpus
from hum_trainer.labelled_recordings import labelled_recordings
from hum_trainer.suggestion import complete, decoding_limits, propose
from support.made_calls import make_calls

ANIMALS = {
    "hums": {"sample_rate": 48000, "dur_s": (0.3, 2), "f0_hz": (150, 500), "harmonics": 5, "gap_s": (0.5, 3)},
    "finches": {"sample_rate": 32000, "dur_s": (0.02, 0.3), "f0_hz": (600, 900), "harmonics": 9, "gap_s": (0.02, 0.3)},
    "mice": {"sample_rate": 250000, "dur_s": (0.01, 0.1), "f0_hz": (5e4, 8e4), "harmonics": 1, "gap_s": (0.03, 0.2)},
    "elephants": {"sample_rate": 2000, "dur_s": (2, 8), "f0_hz": (14, 25), "harmonics": 8, "gap_s": (3, 15)},
    "whales": {"sample_rate": 8000, "dur_s": (0.5, 3), "f0_hz": (80, 300), "harmonics": 2, "gap_s": (1, 8)},
}  # fmt: skip


def _recordings(root, **settings):
    make_calls(root, **settings)
    return labelled_recordings(index_corpus(root, digests=False).index, root, str(root))


@pytest.mark.parametrize("animal", ANIMALS)
def test_settings_fit_the_calls_whatever_the_animal(tmp_path, animal):
    made = ANIMALS[animal]
    measures = measure_calls(_recordings(tmp_path, **made))
    found = propose(measures)
    lowest, highest = made["f0_hz"][0], made["f0_hz"][1] * made["harmonics"]
    median_s = float(np.median(measures.durations_s))
    # The band holds the calls, and not much more.
    assert 0.4 * lowest < found.fmin <= lowest * 1.05 or (found.fmin == 0 and lowest < 4 * measures.resolution_hz)
    assert min(0.7 * highest, 0.9 * made["sample_rate"] / 2) < found.fmax < max(2 * highest, 1.3 * lowest)
    assert 2 * found.fmax <= found.sr <= made["sample_rate"]
    assert made["sample_rate"] % found.sr == 0
    # Frames are fine for the call, spectra fine for its harmonics, and neither is longer than the call.
    hop_s = found.hop_length / found.sr
    assert 0.0005 <= hop_s <= 0.03
    assert median_s / hop_s >= 12
    assert found.n_fft >= 2 * found.hop_length
    assert found.n_fft / found.sr <= median_s / 2 + 1e-9
    assert found.sr / found.n_fft <= lowest / 2
    assert (found.n_fft & (found.n_fft - 1), found.hop_length & (found.hop_length - 1)) == (0, 0)
    assert 0.2 * median_s <= found.sequence_len / 1000 <= 1.5 * median_s + 0.002
    assert 1 <= found.score_hop <= max(1, found.sequence_len / 5)
    assert 0 < found.min_duration_s < measures.durations_s.min()
    assert 0 < found.min_gap_s < np.quantile(measures.gaps_s, 0.06)
    # A cfg takes them as they are.
    values = {setting.key: setting.value for setting in found.settings if setting.key in FROM_DATA}
    cfg = TrainingCfg(recipe="windows", corpus_index="c", model_dir="m", checkpoint_dir="k", **values)
    assert cfg.left_to_data == set()


def test_every_setting_has_a_reason_and_given_ones_stand(tmp_path):
    measures = CallMeasures(np.array([0.1, 0.2]), np.array([0.5]), (44100, 44100), (1, 1), 900.0, 6000.0, 40.0)
    found = propose(measures, {"sr": 22050, "hop_length": 100})
    assert (found.sr, found.hop_length) == (22050, 100)
    assert found.fmax <= 22050 / 2
    assert all(setting.reason for setting in found.settings)
    assert [setting.reason for setting in found.settings if setting.key in ("sr", "hop_length")] == ["given"] * 2


def test_calls_that_are_heard_nowhere_get_the_whole_band():
    found = propose(CallMeasures(np.array([0.5]), np.empty(0), (16000,), (1,), None, None, 8.0))
    assert (found.fmin, found.fmax, found.sr) == (0, 8000, 16000)


def test_frames_fit_the_short_calls_where_kinds_differ_much():
    def hop_s(short, long):
        durations_s = np.array([0.03] * short + [0.6] * long)
        found = propose(CallMeasures(durations_s, np.array([0.5]), (48000,), (1,), 6000.0, 10000.0, 8.0))
        assert found.n_fft / found.sr <= 0.1
        return found.hop_length / found.sr

    assert hop_s(5, 95) == hop_s(0, 100)  # a few odd ones change nothing
    assert hop_s(1, 4) == hop_s(20, 80)
    assert hop_s(20, 80) <= hop_s(0, 100) / 1.9
    assert 0.03 / hop_s(20, 80) >= 8


@pytest.mark.parametrize(("others", "keeps"), [(20, True), (5, True), (3, False)])
def test_a_few_calls_at_a_low_rate_do_not_cost_the_others_their_band(others, keeps):
    rates, n_calls = (8000, *[48000] * others), (3,) * (others + 1)
    measures = CallMeasures(np.array([0.1]), np.empty(0), rates, n_calls, 1000.0, 9000.0, 40.0)
    assert (propose(measures).sr >= 2 * 9000) == keeps


def test_what_rises_and_falls_without_the_calls_is_no_part_of_their_band():
    rng = np.random.default_rng(0)
    level = rng.normal(0, 12, (100, 8))  # wind: as often far above as far below
    level[:, 3:6] += 20
    assert np.flatnonzero(heard_bands(level)).tolist() == [3, 4, 5]
    assert not heard_bands(rng.normal(0, 12, (100, 8))).any()


def test_bands_are_never_narrower_than_the_resolution():
    edges = band_edges_hz(50.0, 8000.0)
    assert (edges[0], edges[-1]) == (0, 8000)
    assert np.diff(edges)[:-1].min() >= 50


def test_decoding_limits_lie_below_what_occurs():
    assert decoding_limits(np.array([0.2, 0.4]), np.array([0.1, 0.3])) == (0.1, 0.055)
    assert decoding_limits(np.array([0.2]), np.empty(0)) == (0.1, 0.1)


def test_only_what_a_cfg_leaves_out_is_taken_from_the_data(tmp_path):
    recordings = _recordings(tmp_path, **ANIMALS["finches"])
    cfg = TrainingCfg(recipe="frames", corpus_index="c", model_dir="m", checkpoint_dir="k", sr=16000, fmin=300.0)
    filled, found = complete(cfg, recordings)
    assert {setting.key for setting in found} == FROM_DATA - {"sr", "fmin"}
    assert (filled.sr, filled.fmin, filled.left_to_data) == (16000, 300.0, frozenset())
    assert filled.fmax <= 8000
    assert complete(filled, recordings) == (filled, ())


@pytest.mark.parametrize("recipe", ["frames", "windows"])
def test_what_a_cfg_leaves_to_its_recipe_comes_with_that(tmp_path, recipe):
    recordings = _recordings(tmp_path, **ANIMALS["whales"])
    cfg = TrainingCfg(recipe=recipe, corpus_index="c", model_dir="m", checkpoint_dir="k", beta1=0.7)
    filled, _ = complete(cfg, recordings)
    wanted = {**RECIPE_DEFAULTS[recipe], "beta1": 0.7}
    assert {key: getattr(filled, key) for key in wanted} == wanted


def test_an_axis_that_does_not_go_with_the_recipe_is_refused(tmp_path):
    recordings = _recordings(tmp_path, **ANIMALS["whales"])
    cfg = TrainingCfg(recipe="frames", corpus_index="c", model_dir="m", checkpoint_dir="k", freq_compression="mfcc")
    with pytest.raises(CfgError, match=r"settings of recipe frames do not go .*mfcc has none\. .* augmentation=false"):
        complete(cfg, recordings)
    assert complete(cfg.with_values(augmentation=False), recordings)[0].freq_compression == "mfcc"


def test_a_given_band_that_the_calls_do_not_fit_is_refused(tmp_path):
    recordings = _recordings(tmp_path, **ANIMALS["whales"])
    cfg = TrainingCfg(recipe="windows", corpus_index="c", model_dir="m", checkpoint_dir="k", fmin=3900.0)
    with pytest.raises(CfgError, match="taken from the corpus do not go with those of the cfg: fmin 3900 Hz"):
        complete(cfg, recordings)


def test_a_recording_with_nan_among_its_calls_is_named(tmp_path):
    first, *others = _recordings(tmp_path, **ANIMALS["whales"])
    soundfile.write(first.path, np.full(round(first.dur_s * 8000), np.nan), 8000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"NaN or infinite samples around .* s") as caught:
        measure_calls([first, *others])
    assert str(first.path) in str(caught.value)
