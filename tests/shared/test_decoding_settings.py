import json

import pytest

from hum_shared.config.cfg import format_cfg, read_cfg
from hum_shared.config.decoding import (
    DecoderFile,
    DecoderSettings,
    merged_settings,
    read_decoder_file,
    write_decoder_file,
)
from hum_shared.config.evaluation import EvaluationCfg
from hum_shared.errors import CfgError, InputError

TUNED = DecoderFile(
    best="peak",
    decoders={"peak": {"edge_level": 0.35, "min_gap_s": 0.02}, "hysteresis": {"edge_level": 0.45}},
    tuned_on={"tapes": []},
)


def a_cfg(folder, text=""):
    path = folder / "eval.cfg"
    path.write_text(f"prediction_dir=p\noutput_dir=o/evaluation/annotations\n{text}", encoding="utf-8")
    return read_cfg(path, EvaluationCfg)


def test_an_old_cfg_decodes_as_the_originals_did(tmp_path):
    assert a_cfg(tmp_path).decoding(None, "x") == DecoderSettings(decoder="union", threshold=0.5)


def test_keys_of_the_cfg_win_over_tuned_ones_and_those_over_the_defaults(tmp_path):
    cfg = a_cfg(tmp_path, "decoder=peak\nthreshold=0.6\nmin_gap_s=0.0\n")
    found = cfg.decoding(TUNED, "x")
    assert (found.decoder, found.threshold, found.edge_level, found.min_gap_s) == ("peak", 0.6, 0.35, 0.0)
    assert found.min_duration_s == 0.0


def test_a_cfg_that_names_no_decoder_takes_the_best_one(tmp_path):
    assert a_cfg(tmp_path).decoding(TUNED, "x").decoder == "peak"
    assert a_cfg(tmp_path, "decoder=hysteresis\n").decoding(TUNED, "x").edge_level == 0.45


def test_a_decoder_that_was_not_tuned_is_an_error():
    with pytest.raises(CfgError, match="no settings of decoder change, only of peak, hysteresis"):
        merged_settings({"decoder": "change"}, TUNED, "eval.cfg")


def test_a_written_cfg_holds_only_the_decoder_keys_that_were_given(tmp_path):
    cfg = EvaluationCfg(prediction_dir="p", output_dir="o", decoder="peak", threshold=0.5, decoder_file="d.json")
    text = format_cfg(cfg)
    assert set(text.split()) == {
        "decoder=peak",
        "threshold=0.5",
        "prediction_dir=p",
        "output_dir=o",
        "noise_in_anno=false",
        "decoder_file=d.json",
    }
    (tmp_path / "x.cfg").write_text(text, encoding="utf-8")
    read = read_cfg(tmp_path / "x.cfg", EvaluationCfg)
    assert (read, read.model_fields_set & {"edge_level"}) == (cfg, set())


def test_a_decoder_file_round_trips(tmp_path):
    path = tmp_path / "Ä $1/decoder.json"
    write_decoder_file(path, TUNED)
    assert read_decoder_file(path) == TUNED


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"best": "peak"}, "decoders: field required"),
        ({"best": "magic", "decoders": {}, "tuned_on": {}}, "best: input should be"),
        ({"best": "peak", "decoders": {"peak": {"edge": 1}}, "tuned_on": {}}, "peak: .*did you mean 'edge_level'"),
        ({"best": "peak", "decoders": {"peak": {"edge_level": 2}}, "tuned_on": {}}, "edge_level: .*less than"),
    ],
)
def test_a_damaged_decoder_file_is_explained(tmp_path, content, message):
    path = tmp_path / "decoder.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(CfgError, match=message) as caught:
        read_decoder_file(path)
    assert str(path) in str(caught.value)


def test_a_missing_decoder_file_is_bad_input(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_decoder_file(tmp_path / "decoder.json")


def test_a_setting_that_union_does_not_know_is_refused_and_not_ignored():
    assert merged_settings({"decoder": "union", "threshold": 0.3}, None, "eval.cfg").threshold == 0.3
    with pytest.raises(CfgError, match=r"eval.cfg: min_gap_s, smoothing_s: decoder union knows threshold alone"):
        merged_settings({"min_gap_s": 1.0, "smoothing_s": 0.1}, None, "eval.cfg")
    tuned = DecoderFile(best="hysteresis", decoders={"hysteresis": {}, "union": {}}, tuned_on={})
    assert merged_settings({"min_gap_s": 1.0}, tuned, "eval.cfg").decoder == "hysteresis"
    with pytest.raises(CfgError, match="min_gap_s: decoder union"):
        merged_settings({"decoder": "union", "min_gap_s": 1.0}, tuned, "eval.cfg")
