"""Model files: foreign ones load, ours load again, everything else is refused with a reason."""

import pickle
from collections import OrderedDict

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hum_shared.errors import ModelError
from hum_shared.model.front_end import DataOpts
from hum_shared.model.model_file import load_model, save_model
from hum_shared.model.network import build_network
from hum_shared.model.script_file import save_script
from support import stand_in_model


@pytest.mark.parametrize("max_pool", [0, 1, 2])
@pytest.mark.parametrize("resnet", [18, 34, 50])
def test_a_foreign_file_loads(tmp_path, resnet, max_pool):
    path = tmp_path / "ANIMAL-SPOT.pk"
    # The stand-in has no shortcut in layer1.0 of the basic networks, which only max_pool=0 needs.
    if max_pool == 0 and resnet < 50:
        network = build_network(resnet_size=resnet, max_pool=0, conv_kernel_size=7, num_classes=2)
        save_model(path, network, DataOpts.model_validate(stand_in_model.DATA_OPTS), {"noise": 0, "target": 1})
    else:
        stand_in_model.make_pk(path, resnet=resnet, max_pool=max_pool)
    model = load_model(path, jit=False)
    assert model.classes == {"noise": 0, "target": 1}
    features = model.encoder(torch.zeros(1, 1, 17, 128))
    assert model.classifier(features).shape == (1, 2)


@pytest.mark.parametrize("size", [18, 34, 50, 101, 152])
def test_all_sizes_have_the_format_s_tensor_names(size):
    network = build_network(resnet_size=size, max_pool=2, conv_kernel_size=7, num_classes=2)
    if size in stand_in_model.BLOCKS:
        shapes, _ = stand_in_model.shapes(size, 7)
        assert {k: tuple(v.shape) for k, v in network.encoder.state_dict().items()} == shapes
    blocks = {18: 8, 34: 16, 50: 16, 101: 33, 152: 50}[size]
    assert sum(name.endswith("conv1.weight") and "." in name[:-12] for name in network.encoder.state_dict()) == blocks


@pytest.mark.parametrize("jit", [False, True])
def test_what_is_saved_loads_and_scores_the_same(tmp_path, jit):
    torch.manual_seed(0)
    network = build_network(resnet_size=18, max_pool=1, conv_kernel_size=5, num_classes=3).eval()
    opts = DataOpts.model_validate(stand_in_model.DATA_OPTS | {"min_max_norm": True, "sequence_len_ms": 400})
    classes = {"bird": 0, "noise": 1, "target": 2}
    example = torch.rand(1, 1, 17, 128)
    path = tmp_path / "a model.pk"
    if jit:
        save_script(path, network, opts, classes, example)
    else:
        save_model(path, network, opts, classes)
    model = load_model(path, jit=jit)
    assert model.classes == classes
    assert model.data_opts == opts
    inputs = torch.rand(5, 1, 17, 128)
    with torch.no_grad():
        torch.testing.assert_close(model.classifier(model.encoder(inputs)), network(inputs), rtol=0, atol=1e-5)


def test_equal_models_give_equal_files(tmp_path):
    network = build_network(resnet_size=18, max_pool=1, conv_kernel_size=5, num_classes=2)
    opts = DataOpts.model_validate(stand_in_model.DATA_OPTS)
    for path in (tmp_path / "a.pk", tmp_path / "b.pk"):
        save_model(path, network, opts, {"noise": 0, "target": 1})
    assert (tmp_path / "a.pk").read_bytes() == (tmp_path / "b.pk").read_bytes()


def test_torchscript_carries_what_pamguard_reads(tmp_path):
    network = build_network(resnet_size=18, max_pool=1, conv_kernel_size=5, num_classes=2).eval()
    opts = DataOpts.model_validate(stand_in_model.DATA_OPTS | {"min_max_norm": False, "sequence_len_ms": 400})
    path = tmp_path / "ANIMAL-SPOT.pk"
    save_script(path, network, opts, {"noise": 0, "target": 1}, torch.rand(1, 1, 17, 128))
    archive = torch._C.PyTorchFileReader(str(path))
    text = archive.get_record("extra/transforms").decode()
    assert "'normalize': '{min_max : False, min_db : -100, ref_db : 20}'" in text
    assert "'seg_size': '{size_ms : 400}'" in text
    assert "'class_info': '{num_class : 2, name_class : [noise, target]}'" in text


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("names", [("encoder", "classifier"), ("0", "1")])
def test_a_foreign_trace_of_two_parts_loads(tmp_path, names):
    network = build_network(resnet_size=18, max_pool=2, conv_kernel_size=7, num_classes=2).eval()
    parts = nn.Sequential(OrderedDict(zip(names, (network.encoder, network.classifier), strict=True)))
    example = torch.rand(1, 1, 17, 128)
    extra = {"dataOpts": repr(stand_in_model.DATA_OPTS), "classes": "{'noise': 0, 'target': 1}"}
    torch.jit.save(torch.jit.trace(parts, example), tmp_path / "foreign.pk", _extra_files=extra)
    model = load_model(tmp_path / "foreign.pk", jit=True)
    torch.testing.assert_close(model.classifier(model.encoder(example)), network(example))


def test_missing_classes_mean_noise_and_target(tmp_path):
    path = tmp_path / "old.pk"
    stand_in_model.make_pk(path)
    content = torch.load(path, weights_only=True)
    del content["classes"]
    torch.save(content, path)
    assert load_model(path, jit=False).classes == {"noise": 0, "target": 1}


def test_a_file_that_would_run_code_is_refused(tmp_path):
    path = tmp_path / "evil.pk"
    torch.save({"encoderOpts": print}, path)
    with pytest.raises(ModelError, match="could run code"):
        load_model(path, jit=False)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize(
    "content", [b"", b"not a model at all", b'site = "local"\n', bytes(range(256)), pickle.dumps({"a": 1})]
)
def test_what_is_no_model_is_refused(tmp_path, content, jit):
    path = tmp_path / "x.pk"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"x\.pk"):
        load_model(path, jit=jit)


@settings(max_examples=200)
@given(st.binary(max_size=60))
def test_no_bytes_make_the_reader_fail_otherwise(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("models") / "x.pk"
    path.write_bytes(content)
    with pytest.raises(ModelError):
        load_model(path, jit=False)


def test_a_truncated_model_is_refused_with_a_reason(tmp_path):
    path = tmp_path / "x.pk"
    stand_in_model.make_pk(path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ModelError, match=r"damaged \(PytorchStreamReader[^.]*\)\. Copy it again\.$"):
        load_model(path, jit=False)


def test_weights_that_are_not_finite_are_refused(tmp_path):
    path = tmp_path / "x.pk"
    stand_in_model.make_pk(path)
    content = torch.load(path, weights_only=True)
    content["classifierState"]["linear.bias"][0] = torch.nan
    torch.save(content, path)
    with pytest.raises(ModelError, match=r"linear\.bias holds NaN"):
        load_model(path, jit=False)


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"fmin": 4000}, "fmin 4000 Hz is not below fmax 4000 Hz"),
        ({"fmin": 24000, "fmax": 30000}, "fmin 24000 Hz is not below"),
        ({"min_level_db": 0}, "min_level_db 0 is not below 0"),
    ],
)
def test_front_end_settings_that_cannot_be_are_refused(tmp_path, wrong, rule):
    path = tmp_path / "x.pk"
    stand_in_model.make_pk(path, data_opts=stand_in_model.DATA_OPTS | wrong)
    with pytest.raises(ModelError, match=rf"x\.pk: dataOpts: {rule}"):
        load_model(path, jit=False)


def test_the_two_forms_are_not_confused(tmp_path):
    plain, script = tmp_path / "plain.pk", tmp_path / "script.pk"
    stand_in_model.make_pk(plain)
    network = build_network(resnet_size=18, max_pool=1, conv_kernel_size=5, num_classes=2).eval()
    opts = DataOpts.model_validate(stand_in_model.DATA_OPTS)
    save_script(script, network, opts, {"noise": 0, "target": 1}, torch.rand(1, 1, 17, 128))
    with pytest.raises(ModelError, match="jit_load=true"):
        load_model(script, jit=False)
    with pytest.raises(ModelError, match="jit_load"):
        load_model(plain, jit=True)


def test_tensors_of_another_network_are_refused(tmp_path):
    path = tmp_path / "x.pk"
    stand_in_model.make_pk(path, resnet=18)
    content = torch.load(path, weights_only=True)
    content["encoderOpts"]["resnet_size"] = 34
    torch.save(content, path)
    with pytest.raises(ModelError, match="do not fit a ResNet-34"):
        load_model(path, jit=False)
