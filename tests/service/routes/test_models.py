"""GET /v1/models over a real socket."""

import numpy as np
import pytest

from vqvae import Tokenizer
from vqvae.pixels import PIXELS_VERSION, decode_image


def test_all_models_are_listed_the_default_one_first(client):
    data = client.get("/v1/models").json()["data"]
    assert [(model["name"], model["default"]) for model in data] == [("tiny", True), ("other", False)]


def test_a_card_tells_what_codes_mean(client, tokenizer):
    model = client.get("/v1/models/tiny").json()
    assert model["fingerprint"] == tokenizer.space.fingerprint
    assert (model["downsample_factor"], model["codebook_size"], model["codebook_dim"]) == (8, 64, 4)
    assert model["grid"] == {
        "height": "ceil(height / downsample_factor)",
        "width": "ceil(width / downsample_factor)",
    }
    assert model["decoders"] == [model["decoder"]] == ["faithful"]
    assert model["decoder_halo"] == tokenizer.decoder_halo
    assert set(model["digests"]) == {"encoder", "quantizer", "decoders.faithful"}
    assert model["digests"]["encoder"] == tokenizer.card.encoder_digest
    assert model["numerics"]["dtype"] == "float32"
    assert model["numerics"]["pixels_version"] == PIXELS_VERSION
    assert model["limits"]["image_megapixels"] == 16
    assert model["training_data"] == [{"name": "noise", "licence": "CC0-1.0"}]
    assert model["figures"] == {"psnr": 7.5}
    assert model in client.get("/v1/models").json()["data"]


def test_an_unknown_model_is_404(client, problem_of):
    problem_of(client.get("/v1/models/nope"), 404, "not-found")


@pytest.mark.anyio
async def test_the_client_chooses_among_a_models_decoders(in_process, two_decoders, png):
    async with in_process(two_decoders) as (client, app):
        model = (await client.get("/v1/models/two")).json()
        assert (model["decoder"], model["decoders"]) == ("faithful", ["faithful", "vivid"])
        codes = (await client.post("/v1/encode", content=png)).json()
        for decoder in ("faithful", "vivid"):
            answer = await client.post("/v1/decode", params={"decoder": decoder}, json=codes)
            assert answer.status_code == 200
            expected = Tokenizer.load(two_decoders, decoder=decoder).reconstruct(png)
            assert np.array_equal(decode_image(answer.content), expected)
        parameters = app.openapi()["paths"]["/v1/decode"]["post"]["parameters"]
        (known,) = [each["schema"] for each in parameters if each["name"] == "decoder"]
        assert known["anyOf"][0]["enum"] == ["faithful", "vivid"]
