import pytest

from vqvae import Tokenizer
from vqvae.quality.code_use import code_use, num_batches
from vqvae.training.data import split


@pytest.fixture(scope="module")
def tokenizer(weights):
    return Tokenizer.load(weights / "tiny", parts="encoder")


def test_at_least_as_many_codes_are_counted_as_asked(tokenizer, photographs):
    batches = []
    use = code_use(tokenizer, photographs, 9000, seed=0, on_batch=lambda: batches.append(1))
    codes_a_batch = 8 * (256 // tokenizer.space.downsample_factor) ** 2
    assert use.num_codes == len(batches) * codes_a_batch >= 9000
    assert len(batches) == num_batches(tokenizer, 9000)
    assert 0 < use.usage <= 1
    assert 1 <= use.perplexity <= use.usage * tokenizer.space.codebook_size
    assert use == code_use(tokenizer, photographs, 9000, seed=0, on_batch=lambda: None)
    assert use.fingerprint == tokenizer.space.fingerprint


def test_only_photographs_that_training_holds_out_are_cut(tokenizer, photographs):
    class Watched:
        def __init__(self):
            self.keys, self.read_keys = photographs.keys, set()

        def read(self, key):
            self.read_keys.add(key)
            return photographs.read(key)

    watched = Watched()
    code_use(tokenizer, watched, 1, seed=0, on_batch=lambda: None)
    assert watched.read_keys == set(split(photographs.keys)[1])
