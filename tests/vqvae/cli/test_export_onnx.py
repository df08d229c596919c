import onnxruntime
import pytest


def facts(path):
    return onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map


def test_a_model_becomes_two_files_that_name_it(vqvae, tmp_path):
    ended = vqvae("export-onnx", "tiny", "new/onnx")
    files = [line.split()[0] for line in ended.out.splitlines()]
    assert (ended.code, files) == (0, ["new/onnx/encoder.onnx", "new/onnx/decoder.onnx"])
    assert [facts(tmp_path / file)["model"] for file in files] == ["tiny", "tiny"]


def test_another_decoder_has_a_file_of_its_own(vqvae, two_decoders, tmp_path):
    ended = vqvae("export-onnx", two_decoders, "onnx", "--decoder", "vivid")
    assert (ended.code, ended.err) == (0, "")
    assert facts(tmp_path / "onnx/decoder-vivid.onnx")["decoder"] == "vivid"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["unknown", "onnx"], "error: no model at unknown, nor of that name in "),
        (["tiny", "onnx", "--decoder", "vivid"], "error: tiny has the decoders faithful, not 'vivid'"),
        (["tiny", "photo.png/onnx"], "error: photo.png/onnx cannot be a folder for results: "),
    ],
)
def test_what_cannot_be_exported_is_said_in_one_line(vqvae, photo, arguments, said):
    ended = vqvae("export-onnx", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(said)
    assert len(ended.err.splitlines()) == 1
