"""Shapes: N latents, D code dim, K codebook size."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from vqvae.quantizers import kmeans, nearest_codes, search


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def brute_force(latents, codebook):
    """float64 distances to every code vector, and the first of the smallest; one latent at a time."""
    vectors = codebook.double().numpy()
    distances = (np.square(vectors - latent).sum(1) for latent in latents.double().numpy())
    return torch.tensor([int(row.argmin()) for row in distances], dtype=torch.int64)


class LargestTensor(TorchDispatchMode):
    """Bytes of the largest tensor that any operation returns."""

    num_bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else [out]:
            if isinstance(tensor, torch.Tensor):
                self.num_bytes = max(self.num_bytes, tensor.numel() * tensor.element_size())
        return out


@pytest.mark.parametrize(
    ("num_latents", "codebook_size", "dim"),
    [(0, 5, 3), (1, 2, 1), (7, 64, 1), (1000, 3, 2), (500, 4096, 8), (33, 1000, 256), (60, 70_000, 4)],
)
def test_search_equals_brute_force_in_float64(num_latents, codebook_size, dim):
    codebook = torch.randn(codebook_size, dim, generator=seeded(0))
    latents = torch.randn(num_latents, dim, generator=seeded(1))
    codes = nearest_codes(latents, codebook)
    assert codes.dtype == torch.int64
    assert torch.equal(codes, brute_force(latents, codebook))


integers = st.integers(-3, 3)


@given(st.data(), st.integers(1, 3))
def test_exact_ties_go_to_the_lowest_index(data, dim):
    # distances of small integers are exact in float64, so that ties are ties
    vector = st.lists(integers, min_size=dim, max_size=dim)
    codebook = torch.tensor(data.draw(st.lists(vector, min_size=2, max_size=9)), dtype=torch.float32)
    latents = torch.tensor(data.draw(st.lists(vector, min_size=1, max_size=9)), dtype=torch.float32)
    distances = (latents[:, None] - codebook).square().sum(-1).int().tolist()
    assert nearest_codes(latents, codebook).tolist() == [row.index(min(row)) for row in distances]


def test_halfway_between_two_code_vectors_one_rounding_step_decides():
    codebook = torch.tensor([[0.0], [1.0]])
    half = np.float32(0.5)
    below, above = np.nextafter(half, np.float32(0)), np.nextafter(half, np.float32(1))
    assert nearest_codes(torch.tensor([[below], [half], [above]]), codebook).tolist() == [0, 0, 1]


def test_near_ties_are_settled_as_float64_says():
    # Neighbouring float32 numbers from 1024 on, 2**-13 apart: their scores, about 2**19, have steps of 2**-4,
    # so that a product in float32 cannot tell them apart.
    codebook = 1024 + torch.arange(64)[:, None] * 2.0**-13
    scores = torch.addmm(codebook.square().sum(1) / -2, codebook, codebook.t())
    assert (scores.argmax(1) != torch.arange(64)).sum() > 32
    assert nearest_codes(codebook, codebook).tolist() == list(range(64))


def crowded(generator):
    """A codebook full of twins and of vectors one rounding step apart, and latents among them."""
    base = torch.randn(60, 6, generator=generator)
    codebook = torch.cat([base, base * (1 + 2**-23), base, base + 2**-22])
    shuffled = codebook[torch.randperm(len(codebook), generator=generator)]
    return shuffled[torch.randint(240, (300,), generator=generator)] * (1 + 2**-23), shuffled


@settings(max_examples=10)
@given(st.integers(0, 2**32))
def test_crowded_codebooks_are_searched_as_float64_says(seed):
    latents, codebook = crowded(seeded(seed))
    assert torch.equal(nearest_codes(latents, codebook), brute_force(latents, codebook))


def test_codes_do_not_depend_on_batch_chunk_or_threads(monkeypatch):
    latents, codebook = crowded(seeded(0))
    codes = nearest_codes(latents, codebook)
    one_by_one = torch.cat([nearest_codes(latent[None], codebook) for latent in latents])
    assert torch.equal(codes, one_by_one)
    order = torch.randperm(len(latents), generator=seeded(1))
    assert torch.equal(codes[order], nearest_codes(latents[order], codebook))
    for scores_at_once in (1, 241, 7 * 240):
        monkeypatch.setattr(search, "SCORES_AT_ONCE", scores_at_once)
        assert torch.equal(codes, nearest_codes(latents, codebook))
    monkeypatch.undo()
    num_threads = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            assert torch.equal(codes, nearest_codes(latents, codebook))
    finally:
        torch.set_num_threads(num_threads)


@pytest.mark.parametrize("precision", ["ieee", "tf32", "bf16"])
def test_codes_do_not_depend_on_the_precision_that_products_may_have(precision):
    latents, codebook = crowded(seeded(0))
    matmul = torch.backends.mkldnn.matmul
    before = matmul.fp32_precision
    try:
        matmul.fp32_precision = precision
        codes = nearest_codes(latents, codebook)
    finally:
        matmul.fp32_precision = before
    assert torch.equal(codes, brute_force(latents, codebook))


@pytest.mark.parametrize("alike", [False, True], ids=["distinct", "all rows tied"])
def test_memory_is_bounded_for_a_large_codebook(alike):
    codebook = torch.randn(1 if alike else 70_000, 2, generator=seeded(0)).expand(70_000, 2).contiguous()
    latents = torch.randn(150, 2, generator=seeded(1))
    with LargestTensor() as largest:
        codes = nearest_codes(latents, codebook)
    # All scores at once, or one-hot rows, would be 150 * 70,000 numbers, 42 MB. Scores are float32; of the
    # float64 distances of tied rows there are half as many, which is as much.
    assert largest.num_bytes <= search.SCORES_AT_ONCE * 4 == 2**24
    if alike:
        assert not codes.any()
    else:
        assert torch.equal(codes[:20], brute_force(latents[:20], codebook))


def test_distances_are_float32_under_autocast():
    codebook = torch.randn(512, 8, generator=seeded(0))
    latents = torch.randn(400, 8, generator=seeded(1))
    codes = nearest_codes(latents, codebook)
    with torch.autocast("cpu", torch.bfloat16):
        assert ((latents @ codebook.t()).dtype) == torch.bfloat16
        assert torch.equal(codes, nearest_codes(latents, codebook))


@given(st.integers(0, 2**32), st.integers(2, 40), st.integers(2, 40))
def test_kmeans_finds_two_separated_clusters(seed, num_left, num_right):
    generator = seeded(seed)
    left = torch.randn(num_left, 3, generator=generator) - 100
    right = torch.randn(num_right, 3, generator=generator) + 100
    latents = torch.cat([left, right])[torch.randperm(num_left + num_right, generator=generator)]
    centres = kmeans(latents, 2, generator=generator)
    centres = centres[centres[:, 0].argsort()]
    torch.testing.assert_close(centres, torch.stack([left.mean(0), right.mean(0)]), atol=1e-4, rtol=1e-5)


def test_kmeans_restarts_an_empty_cluster_at_a_latent():
    # Four centres for two places: two of them lose every latent to a twin of lower index.
    latents = torch.tensor([[0.0], [0.0], [0.0], [10.0], [10.0]])
    for seed in range(10):
        centres = kmeans(latents, 4, generator=seeded(seed))
        assert set(centres.flatten().tolist()) == {0.0, 10.0}


def test_kmeans_lessens_the_error_of_its_start():
    latents = torch.randn(2000, 4, generator=seeded(0))

    def error(centres):
        return (latents - centres[nearest_codes(latents, centres)]).square().sum(1).mean().item()

    errors = [error(kmeans(latents, 32, generator=seeded(1), iterations=n)) for n in (0, 1, 3, 12)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.8 * errors[0]


def test_kmeans_has_a_vector_for_every_code_even_of_fewer_latents():
    latents = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    centres = kmeans(latents, 7, generator=seeded(0))
    assert centres.shape == (7, 2)
    assert all(centre in latents.tolist() for centre in centres.tolist())


def test_kmeans_is_a_function_of_latents_and_generator():
    latents = torch.randn(300, 4, generator=seeded(0))
    state = torch.get_rng_state()
    first, second = (kmeans(latents, 16, generator=seeded(5)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(state, torch.get_rng_state())
