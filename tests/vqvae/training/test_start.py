import pytest
import torch

from vqvae.checkpoint import load_card, load_model, save_model
from vqvae.errors import ConfigError, ModelError
from vqvae.training.start import all_data, check_decoder, load_start, of_decoder, with_decoder

OLD = {"steps_done": 60, "decoders": {"vivid": {"steps_done": 6}, "soft": {"steps_done": 3}}}


def test_a_new_decoder_begins_as_the_faithful_one(weights):
    start = load_start(weights / "tiny", "vivid")
    assert start.decoder == "faithful"
    assert start.digest == load_card(weights / "tiny").decoders["faithful"].digest
    assert list(start.others) == ["faithful"]


def test_a_decoder_that_there_is_goes_on_and_the_others_stay(weights, tmp_path):
    tiny, other = (load_model(weights / name) for name in ("tiny", "other"))
    decoders = {"faithful": tiny.decoder, "vivid": other.decoder}
    save_model(tmp_path, name="two", encoder=tiny.encoder, quantizer=tiny.quantizer, decoders=decoders)
    for decoder, remaining in (("vivid", "faithful"), ("faithful", "vivid")):
        start = load_start(tmp_path, decoder)
        assert start.decoder == decoder
        assert start.digest == load_card(tmp_path).decoders[decoder].digest
        assert equal(start.model.decoder, decoders[decoder])
        assert list(start.others) == [remaining]
        assert equal(start.others[remaining], decoders[remaining])


def test_a_model_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ModelError, match="nowhere"):
        load_start(tmp_path / "nowhere", "vivid")


def equal(module, other):
    state = other.state_dict()
    return all(torch.equal(tensor, state[name]) for name, tensor in module.state_dict().items())


def test_a_card_says_what_each_decoder_came_to():
    assert of_decoder(OLD, "faithful") == {"steps_done": 60}
    assert of_decoder(OLD, "vivid") == {"steps_done": 6}
    assert of_decoder(OLD, "crisp") == of_decoder({}, "vivid") == {}


def test_a_run_speaks_for_its_own_decoder_and_leaves_the_kept_ones_their_word():
    own = {"steps_done": 9}
    assert with_decoder({}, "faithful", own, {}) == own
    assert with_decoder(OLD, "faithful", own, {}) == own
    assert with_decoder(OLD, "faithful", own, {"vivid": None}) == own | {
        "decoders": {"vivid": {"steps_done": 6}}
    }
    kept = {"faithful": None, "soft": None}
    others = {"soft": {"steps_done": 3}, "vivid": own}
    assert with_decoder(OLD, "vivid", own, kept) == {"steps_done": 60, "decoders": others}
    assert with_decoder({}, "vivid", own, kept) == {"decoders": {"vivid": own}}


def test_data_of_one_name_is_listed_once():
    cats, dogs = {"name": "cats", "photographs": 3}, {"name": "dogs"}
    assert all_data([], [cats]) == [cats]
    assert all_data([cats], [{"name": "cats"}, dogs]) == [cats, dogs]


@pytest.mark.parametrize("name", ["", "Vivid", "a.b", "a/b", "-a", "a" * 65])
def test_a_decoders_name_is_short_and_plain(name):
    with pytest.raises(ConfigError, match="decoder must match"):
        check_decoder(name, "decoder")


def test_only_a_decoder_trained_alone_may_have_another_name():
    check_decoder("faithful", "all")
    check_decoder("vivid", "decoder")
    with pytest.raises(ConfigError, match=r"got decoder vivid with training\.trained=all"):
        check_decoder("vivid", "all")
