"""GET /v1/models over a real socket."""

from vqvae.pixels import PIXELS_VERSION


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
