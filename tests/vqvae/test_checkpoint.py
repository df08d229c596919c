"""A model on disk: what is written is what is read, and nothing damaged is believed."""

import json
import re
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from vqvae import checkpoint, places
from vqvae.checkpoint import find_model, load_card, load_model, save_card, save_model
from vqvae.errors import ConfigError, ModelError
from vqvae.model import Autoencoder, AutoencoderConfig, DecoderConfig, EncoderConfig
from vqvae.quantizers import EmaQuantizerConfig

CONFIG = AutoencoderConfig(
    EncoderConfig(patch=2, widths=(4, 5), blocks=(1, 0)),
    EmaQuantizerConfig(codebook_size=8, codebook_dim=3),
    DecoderConfig(patch=2, widths=(4, 5), blocks=(0, 1), full_width=3),
)


@pytest.fixture
def model():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Autoencoder(CONFIG)


def save(folder, model, **card):
    parts = {"encoder": model.encoder, "quantizer": model.quantizer, "decoders": {"faithful": model.decoder}}
    return save_model(folder, **{"name": "small", **parts, **card})


@pytest.fixture
def folder(tmp_path, model):
    save(tmp_path / "small", model)
    return tmp_path / "small"


def edit_card(folder, edit):
    path = folder / "model.json"
    data = json.loads(path.read_text())
    edit(data)
    path.write_text(json.dumps(data))


def edit_tensors(folder, edit):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    edit(tensors)
    save_file(tensors, path)


def test_a_model_survives_the_disk(tmp_path, model):
    card = save(
        tmp_path,
        model,
        training_data=[{"name": "cats", "licence": "CC0-1.0"}],
        recipe={"steps_done": 3},
        figures={"psnr": 26.5},
    )
    loaded = load_model(tmp_path)
    assert loaded.card == load_card(tmp_path) == card
    assert (card.encoder, card.quantizer, card.decoders["faithful"].config) == (
        CONFIG.encoder,
        CONFIG.quantizer,
        CONFIG.decoder,
    )
    assert card.training_data == [{"name": "cats", "licence": "CC0-1.0"}]
    assert (card.recipe, card.figures) == ({"steps_done": 3}, {"psnr": 26.5})
    for part, saved in ((loaded.encoder, model.encoder), (loaded.decoder, model.decoder)):
        for name, tensor in saved.state_dict().items():
            assert torch.equal(part.state_dict()[name], tensor.half().float())
    assert torch.equal(loaded.quantizer.codebook, model.quantizer.codebook.half().float())


def test_the_rounded_values_are_the_model(tmp_path, model):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    first = save(tmp_path / "first", model)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert {tensor.dtype for tensor in load_file(tmp_path / "first/model.safetensors").values()} == {
        torch.float16
    }
    # What was rounded once stays as it is: the same digests, the same bytes.
    loaded = load_model(tmp_path / "first")
    assert {p.dtype for p in loaded.encoder.parameters()} == {torch.float32}
    again = save_model(
        tmp_path / "again",
        name="small",
        encoder=loaded.encoder,
        quantizer=loaded.quantizer,
        decoders={"faithful": loaded.decoder},
    )
    assert again == first
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("first", "again")]
    assert files[0] == files[1]


def test_loaded_parts_are_in_evaluation_and_ask_for_no_gradient(folder):
    loaded = load_model(folder)
    for part in (loaded.encoder, loaded.quantizer, loaded.decoder):
        assert not part.training
        assert not any(parameter.requires_grad for parameter in part.parameters())


def test_the_space_is_what_codes_mean(tmp_path, model):
    space = save(tmp_path, model).space
    assert (space.model, space.codebook_size, space.downsample_factor) == ("small", 8, 4)
    assert re.fullmatch("[0-9a-f]{64}", space.fingerprint)


@pytest.mark.parametrize("prefix", ["encoder.", "quantizer.", "decoders.faithful."])
def test_any_changed_byte_of_a_part_is_refused(folder, prefix):
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    header_size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + header_size])
    spans = [entry["data_offsets"] for name, entry in header.items() if name.startswith(prefix)]
    places = [8 + header_size + offset for start, stop in spans for offset in range(start, stop)]
    others = {"encoder.": "decoder", "decoders.faithful.": "encoder"}.get(prefix)
    for place in places[:: max(1, len(places) // 40)]:
        damaged = bytearray(data)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(
            ModelError, match=rf"the tensors {re.escape(prefix)}\* are not those that model.json"
        ):
            load_model(folder)
        if others is not None:  # a part that is not asked for is not read
            load_model(folder, parts=others)


@pytest.mark.parametrize(
    "edit",
    [
        lambda tensors: tensors.pop("encoder.head.1.bias"),
        lambda tensors: tensors.update({"encoder.more": torch.zeros(1, dtype=torch.float16)}),
        lambda tensors: tensors.update({"encoder.head.1.bias": tensors["encoder.head.1.bias"].float()}),
        lambda tensors: tensors.update(
            {"encoder.head.1.bias": tensors["encoder.head.1.bias"][None].contiguous()}
        ),
    ],
    ids=["a tensor is missing", "a tensor too many", "another type", "another shape"],
)
def test_tensors_that_the_card_does_not_describe_are_refused(folder, edit):
    edit_tensors(folder, edit)
    with pytest.raises(ModelError, match=r"the tensors encoder.\* are not those"):
        load_model(folder)


def test_an_encoder_needs_no_decoder_and_a_decoder_no_encoder(folder):
    whole = load_model(folder)
    for parts, other in (("encoder", "decoders."), ("decoder", "encoder.")):
        copy = folder.with_name(parts)
        shutil.copytree(folder, copy)
        edit_tensors(
            copy,
            lambda tensors, other=other: [tensors.pop(key) for key in list(tensors) if key.startswith(other)],
        )
        loaded = load_model(copy, parts=parts)
        assert (loaded.encoder is None) == (parts == "decoder")
        assert (loaded.decoder is None) == (parts == "encoder")
        assert torch.equal(loaded.quantizer.codebook, whole.quantizer.codebook)
        with pytest.raises(ModelError, match=r"are not those that model\.json describes"):
            load_model(copy)


def test_an_encoder_can_be_had_whatever_the_decoder_is_called(folder):
    assert load_model(folder, parts="encoder", decoder="none such").encoder is not None


def test_unknown_decoder_is_rejected_by_name(folder):
    with pytest.raises(ModelError, match="small has the decoders faithful, not 'vivid'"):
        load_model(folder, decoder="vivid")


@pytest.fixture
def vivid():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return Autoencoder(CONFIG).decoder


def names_in(folder):
    return {path.name for path in folder.iterdir()}


def test_one_code_space_may_have_several_decoders(tmp_path, model, vivid):
    save(tmp_path, model, decoders={"faithful": model.decoder, "vivid": vivid})
    for name, decoder in (("faithful", model.decoder), ("vivid", vivid)):
        loaded = load_model(tmp_path, parts="decoder", decoder=name)
        assert torch.equal(loaded.decoder.stem.weight, decoder.stem.weight.half().float())


def test_a_second_decoder_has_a_file_of_its_own(folder, model, vivid):
    alone = (folder / "model.safetensors").read_bytes()
    save(folder, model, decoders={"faithful": model.decoder, "vivid": vivid})
    assert names_in(folder) == {"model.json", "model.safetensors", "decoder-vivid.safetensors"}
    assert (folder / "model.safetensors").read_bytes() == alone
    second = folder / "decoder-vivid.safetensors"
    assert {name.split(".")[1] for name in load_file(second)} == {"vivid"}
    second.unlink()  # not downloaded
    assert load_model(folder).decoder is not None
    with pytest.raises(ModelError, match=r"decoder-vivid\.safetensors is damaged or missing"):
        load_model(folder, decoder="vivid")


def test_no_file_stays_of_a_decoder_that_a_newer_model_has_not(folder, model, vivid):
    save(folder, model, decoders={"faithful": model.decoder, "vivid": vivid})
    save(folder, model, decoders={"faithful": model.decoder, "vivid2": vivid})
    assert names_in(folder) == {"model.json", "model.safetensors", "decoder-vivid2.safetensors"}


def test_a_decoders_name_leads_to_no_other_folder(folder, model):
    with pytest.raises(ConfigError, match=r"decoder must match .*, got \.\./vivid"):
        save(folder, model, decoders={"../vivid": model.decoder})
    edit_card(folder, lambda data: data["decoders"].update({"../vivid": data["decoders"]["faithful"]}))
    with pytest.raises(ModelError, match=r"model\.json is not a model card: .*decoder must match"):
        load_card(folder)


def test_the_fingerprint_is_that_of_the_code_space(tmp_path, model):
    def fingerprint(**changed):
        return save(tmp_path, model, **changed).fingerprint

    original = fingerprint()
    assert fingerprint(name="renamed", figures={"psnr": 1.0}, recipe={"steps": 2}) == original
    with torch.no_grad():
        model.decoder.stem.bias += 1
        assert fingerprint() == original
        model.encoder.head[-1].bias[0] += 1
        assert (moved := fingerprint()) != original
        model.encoder.head[-1].bias[0] -= 1
        model.quantizer.codebook[3, 1] += 1
        assert fingerprint() not in (original, moved)
    wider = Autoencoder(
        AutoencoderConfig(CONFIG.encoder, EmaQuantizerConfig(8, 3, decay=0.5), CONFIG.decoder)
    )
    wider.quantizer.load_inference_state_({"codebook": model.quantizer.codebook})
    assert fingerprint(quantizer=wider.quantizer) != fingerprint()


def test_the_sign_of_a_zero_is_no_other_code_space(tmp_path, model):
    fingerprints = []
    for zero in (0.0, -0.0):
        model.encoder.head[-1].weight.data[0] = zero
        fingerprints.append(save(tmp_path, model).fingerprint)
    assert fingerprints[0] == fingerprints[1]


def test_a_card_alone_can_be_written_again(folder):
    card = load_card(folder)
    card.figures["psnr"] = 26.0
    save_card(folder, card)
    assert load_card(folder).figures == {"psnr": 26.0}
    assert names_in(folder) == {"model.json", "model.safetensors"}


def test_a_file_is_written_whole_or_not_at_all(folder, model, monkeypatch):
    before = (folder / "model.safetensors").read_bytes()

    def fail(descriptor):
        raise OSError("No space left on device")

    monkeypatch.setattr(checkpoint.os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        save(folder, model)
    assert (folder / "model.safetensors").read_bytes() == before
    assert names_in(folder) == {"model.json", "model.safetensors"}


def test_a_models_files_are_as_readable_as_any(folder):
    plain = folder / "plain"
    plain.touch()
    modes = {path.name: path.stat().st_mode for path in folder.iterdir()}
    assert modes["model.safetensors"] == modes["model.json"] == modes["plain"]


def test_another_format_version_is_named(folder):
    edit_card(folder, lambda data: data.update(format_version=99))
    with pytest.raises(ModelError, match=r"model.json is of format version 99, this package reads 1"):
        load_model(folder)


@pytest.mark.parametrize(
    "key",
    [
        "format_version",
        "name",
        "fingerprint",
        "encoder",
        "quantizer",
        "decoders",
        "pixels_version",
        "training_data",
    ],
)
def test_a_missing_key_of_the_card_is_named(folder, key):
    edit_card(folder, lambda data: data.pop(key))
    with pytest.raises(ModelError, match=rf"model.json is not a model card: KeyError: '{key}'"):
        load_card(folder)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda data: data["encoder"]["config"].update(depth=1), "EncoderConfig has no variable 'depth'"),
        (lambda data: data["quantizer"]["config"].update(method="lfq"), "quantizer method must be one of"),
        (lambda data: data.update(encoder=3), "is not a model card: TypeError"),
        (lambda data: data.update(decoders=[]), "is not a model card: AttributeError"),
        (lambda data: data.update(fingerprint="0" * 64), "its fingerprint does not follow from its parts"),
        (lambda data: data["encoder"].update(digest="0" * 64), "its fingerprint does not follow"),
        (
            lambda data: data["quantizer"]["config"].update(codebook_size=16),
            "its fingerprint does not follow",
        ),
    ],
)
def test_a_card_that_is_none_is_refused(folder, edit, message):
    edit_card(folder, edit)
    with pytest.raises(ModelError, match=message):
        load_card(folder)


def test_a_decoder_that_does_not_fit_its_tensors_is_refused(folder):
    edit_card(folder, lambda data: data["decoders"]["faithful"]["config"].update(full_width=7))
    with pytest.raises(ModelError, match=r"model\.safetensors is damaged or missing"):
        load_model(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "\x00"])
def test_a_card_that_is_no_json_object_is_refused(folder, text):
    (folder / "model.json").write_text(text)
    with pytest.raises(ModelError, match="is not a model card"):
        load_card(folder)


@pytest.mark.parametrize("size", [0, 7, 100, -1])
def test_a_truncated_file_is_refused(folder, size):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ModelError, match=r"model\.safetensors is damaged or missing"):
        load_model(folder, parts="encoder")


def test_missing_tensors_are_an_error(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"model\.safetensors is damaged or missing"):
        load_model(folder)


def test_a_name_is_found_in_the_environments_folder(weights, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="no model at tiny, nor of that name in "):
        find_model("tiny")
    monkeypatch.setenv("VQVAE_WEIGHTS", str(weights))
    assert find_model("tiny") == weights / "tiny"
    assert load_model("other").card.name == "other"
    with pytest.raises(ModelError, match="no model at none-such"):
        load_model("none-such")
    with pytest.raises(ModelError, match=r"no model at \.\./weights/tiny"):
        find_model("../weights/tiny")  # a path is no name


def test_a_name_is_found_beside_the_package_and_then_in_it(weights, monkeypatch, tmp_path):
    package = tmp_path / "site" / "vqvae"
    monkeypatch.setattr(places, "__file__", str(package / "places.py"))
    monkeypatch.delenv("VQVAE_WEIGHTS", raising=False)
    shutil.copytree(weights / "tiny", package / "weights" / "tiny")
    assert find_model("tiny") == package / "weights" / "tiny"
    shutil.copytree(weights / "tiny", tmp_path / "site" / "weights" / "tiny")
    assert find_model("tiny") == tmp_path / "site" / "weights" / "tiny"
