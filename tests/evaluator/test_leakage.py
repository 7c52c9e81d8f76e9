import json
import unicodedata

import pytest

from hum_evaluator.leakage import (
    Seen,
    certify,
    learnt_in_sample,
    source_of_forest,
    source_of_tuning,
    sources_of_model,
    sources_of_run,
)
from hum_shared import names
from hum_shared.errors import InputError
from hum_shared.index import PredictionMeta, RecordingInfo
from hum_shared.layout import Workspace

TAPE, OTHER = "387_20201207_cut.wav", "Ä 'weide' $1.v2_cut.wav"


def scored(name, tape, sha256=None):
    return RecordingInfo(name=name, tape=tape, offset_s=0, dur_s=60, sha256=sha256)


BENCHMARK = [scored(f"{TAPE}_0_60.wav", TAPE, "a" * 64), scored(OTHER, OTHER, "b" * 64)]


def test_tapes_that_were_not_seen_are_no_leak():
    certificate = certify(BENCHMARK, [Seen("training", {"train": ("388_20201207_cut.wav",)}, {"c" * 64: "x.wav"})])
    assert (certificate.overlaps, certificate.lines) == ((), [])


@pytest.mark.parametrize("named", [TAPE, "387-20201207-cut"])
def test_a_tape_is_known_by_its_name_also_as_training_clips_carry_it(named):
    (line,) = certify(BENCHMARK, [Seen("training", {"val": (named, "388-x")}, {})]).lines
    assert line == f"leakage: 1 benchmark tape in training (val): {TAPE}"


def test_a_copy_under_another_name_is_known_by_its_audio():
    (line,) = certify(BENCHMARK, [Seen("tuning", {"tuned": ("copy.wav",)}, {"b" * 64: "copy.wav"})]).lines
    assert line == f"leakage: the audio of benchmark recordings is in tuning: {OTHER}"


def test_recordings_without_digest_are_compared_by_tape_alone():
    certificate = certify([scored("x.wav", "x.wav")], [Seen("training", {}, {"": "x.wav"})])
    assert (certificate.lines, certificate.by_audio) == ([], False)


@pytest.mark.parametrize(("digests", "by_audio"), [("de", True), ("d", False), ("", False)])
def test_audio_is_compared_where_every_digest_is_known(digests, by_audio):
    recordings = [{"name": name, "sha256": name * 64 if name in digests else None} for name in "de"]
    seen = source_of_tuning({"tapes": [{"tape": "t", "recordings": recordings}]})
    assert certify(BENCHMARK, [seen]).by_audio == by_audio


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def test_a_model_tells_of_training_and_tuning(tmp_path):
    recordings = [{"name": "a.wav", "sha256": "d" * 64}]
    tapes = {"train": [TAPE], "val": [OTHER]}
    write(tmp_path / "m/models/model.json", {"training_data": {"tapes": tapes, "recordings": {"train": recordings}}})
    tuned = {"tapes": [{"tape": OTHER, "recordings": [{"name": OTHER, "sha256": "e" * 64}]}]}
    write(tmp_path / "m/models/decoder.json", {"tuned_on": tuned})
    (training, tuning), missing = sources_of_model(tmp_path / "m")
    assert training == Seen("training", {"train": (TAPE,), "val": (OTHER,)}, {"d" * 64: "a.wav"})
    assert tuning == Seen("tuning", {"tuned": (OTHER,)}, {"e" * 64: OTHER})
    assert missing == []


@pytest.mark.parametrize(
    "recordings",
    [
        [{"name": "a.wav", "sha256": "d" * 64}, {"name": "unknown.wav", "sha256": None}],
        {"train": {"a.wav": "d" * 64}, "val": {}},
        {"a.wav": "d" * 64},
    ],
)
def test_digests_are_read_however_a_card_lists_them(tmp_path, recordings):
    write(tmp_path / "m/models/model.json", {"training_data": {"tapes": {"train": []}, "recordings": recordings}})
    ((training,), _) = sources_of_model(tmp_path / "m")
    assert training.digests == {"d" * 64: "a.wav"}


@pytest.mark.parametrize("source", ["tuning", "filter"])
def test_what_learnt_from_scores_of_training_tapes_is_named(source):
    learnt = Seen(source, {"train": (OTHER, TAPE)}, {})
    trained = {"train": (names.tape_key(TAPE),), "val": (OTHER,)}
    (line,) = learnt_in_sample([Seen("training", trained, {}), learnt])
    assert line == f"{source} learnt from scores of tapes that the network was trained on: {names.tape_key(TAPE)}"
    assert learnt_in_sample([Seen("training", {"train": ("x.wav",), "val": (OTHER, TAPE)}, {}), learnt]) == []
    assert learnt_in_sample([learnt]) == []


def test_an_ensemble_has_scores_of_its_tapes_by_networks_that_have_not_seen_them(tmp_path):
    card = {"training_data": {"tapes": {"train": [TAPE]}, "networks": [{"val_tapes": [TAPE]}]}}
    write(tmp_path / "m/models/model.json", card)
    sources, _ = sources_of_model(tmp_path / "m")
    assert learnt_in_sample([*sources, Seen("tuning", {"tuned": (TAPE,)}, {})]) == []


def test_what_cannot_be_checked_is_named(tmp_path):
    assert sources_of_model(tmp_path / "m") == ([], ["m: no model card, so its training tapes are unknown"])
    write(tmp_path / "m/models/model.json", {"training_data": {}})
    assert sources_of_model(tmp_path / "m") == ([], ["m: its card does not name the training tapes"])
    assert source_of_forest(tmp_path / "f.skops")[0] == []


def test_a_forest_tells_of_its_tapes(tmp_path):
    card = {
        "tapes": {"train": [TAPE], "test": []},
        "training_tapes": [TAPE, OTHER],
        "training_recordings": [{"name": "a.wav", "sha256": "d" * 64}],
    }
    write(tmp_path / "f.card.json", card)
    sources, missing = source_of_forest(tmp_path / "f.skops")
    assert sources == [Seen("filter", {"train": (TAPE, OTHER), "test": ()}, {"d" * 64: "a.wav"})]
    assert missing == []


def test_the_card_of_a_forest_that_was_trained_again_tells_nothing_of_what_it_filtered(tmp_path):
    forest = "rf/$wald 'ü'.v2.skops"
    write(tmp_path / "rf/$wald 'ü'.v2.card.json", {"tapes": {"train": [TAPE]}, "model_sha256": "b" * 64})
    for used, sources, replaced in (("b", ["filter"], 0), ("a", [], 1)):
        meta = PredictionMeta(rf_model=forest, rf_model_sha256=used * 64)
        found, _, lines = sources_of_run(meta, "m", "postrf", Workspace(tmp_path))
        assert ([one.source for one in found], len(lines)) == (sources, replaced)
    assert lines[0].startswith("$wald 'ü'.v2.skops: trained again since it filtered these")


def test_a_damaged_card_is_an_error(tmp_path):
    (tmp_path / "m/models").mkdir(parents=True)
    (tmp_path / "m/models/model.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match="not JSON"):
        sources_of_model(tmp_path / "m")


def test_a_tape_is_known_in_either_unicode_form():
    tape = "Grün_20201207_cut.wav"
    benchmark = RecordingInfo(name=tape, tape=unicodedata.normalize("NFD", tape), offset_s=0, dur_s=1)
    seen = Seen("training", {"train": (unicodedata.normalize("NFC", tape),)}, {})
    assert [one.part for one in certify([benchmark], [seen]).overlaps] == ["train"]
