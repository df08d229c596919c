"""The moving-average codebook against numbers worked by hand."""

import pytest
import torch

from vqvae.errors import ConfigError
from vqvae.quantizers import EmaQuantizer, EmaQuantizerConfig


def ema(vectors, **variables):
    """A quantizer with these code vectors (K, D), each of cluster size 1."""
    codebook = torch.tensor(vectors)
    size, dim = codebook.shape
    quantizer = EmaQuantizer(EmaQuantizerConfig(codebook_size=size, codebook_dim=dim, **variables))
    quantizer.load_inference_state_({"codebook": codebook})
    return quantizer


def step_(quantizer, latents):
    latents = torch.tensor(latents)
    codes = quantizer.nearest_codes(latents.view(1, 1, 1, -1)).flatten()
    quantizer.update_(latents[:, None], codes)
    return codes.tolist()


def test_two_steps_are_those_worked_by_hand():
    quantizer = ema([[0.0], [10.0]], decay=0.5)

    # counts (2, 1), sums (3, 9)
    assert step_(quantizer, [1.0, 2.0, 9.0]) == [0, 0, 1]
    assert quantizer.cluster_size.tolist() == [1.5, 1.0]  # (1 + 2) / 2, (1 + 1) / 2
    assert quantizer.cluster_sum.tolist() == [[1.5], [9.5]]  # (0 + 3) / 2, (10 + 9) / 2
    assert quantizer.codebook.tolist() == [[1.0], [9.5]]

    # counts (1, 2), sums (1, 14): 6 is 5 from the first code vector, 3.5 from the second
    assert step_(quantizer, [1.0, 6.0, 8.0]) == [0, 1, 1]
    assert quantizer.cluster_size.tolist() == [1.25, 1.5]  # (1.5 + 1) / 2, (1 + 2) / 2
    assert quantizer.cluster_sum.tolist() == [[1.25], [11.75]]  # (1.5 + 1) / 2, (9.5 + 14) / 2
    torch.testing.assert_close(quantizer.codebook, torch.tensor([[1.0], [11.75 / 1.5]]))


def test_there_is_no_codebook_loss_and_the_commitment_moves_only_the_latents():
    quantizer = ema([[0.0, 0.0], [3.0, 2.0]])
    z_e = torch.tensor([1.0, 2.0]).view(1, 2, 1, 1).requires_grad_()
    quantized = quantizer(z_e)
    assert quantized.codebook_loss.item() == 0
    assert not quantized.codebook_loss.requires_grad
    assert quantized.commitment_loss.item() == 0.5  # 0.25 * ((1 - 3)^2 + (2 - 2)^2) / 2
    quantized.commitment_loss.backward()
    assert z_e.grad.flatten().tolist() == [-0.5, 0.0]  # 0.25 * 2 * (1 - 3) / 2
    assert list(quantizer.parameters()) == []


def test_a_forward_pass_moves_nothing():
    quantizer = ema([[0.0], [10.0]])
    quantizer.train()(torch.tensor([[[[1.0, 2.0]]]]))
    assert quantizer.codebook.tolist() == [[0.0], [10.0]]
    assert quantizer.cluster_size.tolist() == [1.0, 1.0]


def test_a_code_vector_without_latents_stays_where_it_is():
    quantizer = ema([[0.0], [10.0]], decay=0.0)  # at once its count is 0, and 0 / 0 is no vector
    for _ in range(2):
        assert step_(quantizer, [1.0, 3.0]) == [0, 0]
    assert quantizer.cluster_size.tolist() == [2.0, 0.0]
    assert quantizer.codebook.tolist() == [[2.0], [10.0]]


def test_equal_latents_draw_their_code_vector_to_themselves():
    quantizer = ema([[0.0], [10.0]], decay=0.9)
    gaps = []
    for _ in range(50):
        step_(quantizer, [4.0, 4.0])
        gaps.append(4.0 - quantizer.codebook[0].item())
    assert gaps == sorted(gaps, reverse=True)
    assert 0 <= gaps[-1] < 0.05


def test_a_restarted_code_weighs_as_much_as_an_average_one():
    quantizer = ema([[0.0], [10.0], [20.0]], decay=0.5, dead_code_threshold=0.5)
    step_(quantizer, [1.0, 1.0, 2.0, 2.0, 8.0, 8.0])
    # sizes (1 + 4) / 2, (1 + 2) / 2 and (1 + 0) / 2; sums (0 + 6) / 2, (10 + 16) / 2 and (20 + 0) / 2
    assert quantizer.cluster_size.tolist() == [2.5, 1.5, 0.5]
    assert quantizer.cluster_sum.tolist() == [[3.0], [13.0], [10.0]]
    before = quantizer.codebook.clone()
    # counts (9, 3, 0), half of their mean is 2: the third is dead; the mean size is 1.5
    latents = torch.tensor([[6.0]])
    assert quantizer.restart_dead_codes_(torch.tensor([9, 3, 0]), latents, torch.Generator()) == 1
    assert quantizer.cluster_size.tolist() == [2.5, 1.5, 1.5]
    assert quantizer.cluster_sum.tolist() == [[3.0], [13.0], [9.0]]
    assert torch.equal(quantizer.codebook, torch.cat([before[:2], latents]))
    # from there new latents draw it: (9 + 5) / 2 over (1.5 + 1) / 2
    assert step_(quantizer, [5.0]) == [2]
    assert quantizer.codebook[2].item() == pytest.approx(7 / 1.25)


def test_a_started_codebook_is_the_ratio_of_its_sums_and_sizes():
    quantizer = EmaQuantizer(EmaQuantizerConfig(codebook_size=8, codebook_dim=3))
    latents = torch.randn(100, 3, generator=torch.Generator().manual_seed(0))
    quantizer.init_codebook_(latents, torch.Generator().manual_seed(1))
    assert torch.equal(quantizer.cluster_sum, quantizer.codebook * quantizer.cluster_size[:, None])


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_decay_must_leave_something_to_the_new_latents(decay):
    with pytest.raises(ConfigError, match=r"decay must lie in \[0, 1\), got"):
        EmaQuantizerConfig(decay=decay)
