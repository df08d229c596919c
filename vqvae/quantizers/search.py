"""Nearest-code search, exact and in bounded memory, and the k-means that starts a codebook.

Shapes: N latents, D code dim, K codebook size.

The codes are a pure function of latents and codebook. One matrix product in float32 finds the winner and the
runner-up of every row; where their margin is within a bound on the product's rounding error, that row is
settled in float64 among all codes within it, by sums in a fixed order, and the lowest index wins a tie. So it
does not matter how a matrix product orders its sums, which depends on shapes, threads and hardware.
"""

import torch
from torch import Tensor

SCORES_AT_ONCE = 2**22  # float32 scores held at a time: 16 MiB whatever N and K
EPS = {"none": 2**-23, "ieee": 2**-23, "tf32": 2**-10, "bf16": 2**-7}  # of a product, by torch's setting


@torch.no_grad()
def nearest_codes(latents: Tensor, codebook: Tensor) -> Tensor:
    """Index of the nearest code vector: (N, D) and (K, D) -> (N,) int64, in float32 even under autocast."""
    with torch.autocast(latents.device.type, enabled=False):
        latents, codebook = latents.float(), codebook.float()
        # |z - e|^2 = |z|^2 - 2 (z.e - |e|^2 / 2): the nearest code vector has the largest score in brackets
        bias = codebook.square().sum(1) / -2
        transposed = codebook.t().contiguous()
        largest = codebook.norm(dim=1).amax()
        backend = torch.backends.cuda if latents.is_cuda else torch.backends.mkldnn
        eps = EPS[backend.matmul.fp32_precision]
        codes = torch.empty(len(latents), dtype=torch.int64, device=latents.device)
        rows = max(1, SCORES_AT_ONCE // len(codebook))
        for part, out in zip(torch.split(latents, rows), torch.split(codes, rows), strict=True):
            scores = torch.addmm(bias, part, transposed)
            best, winners = scores.max(1)
            runners_up = scores.scatter_(1, winners[:, None], -torch.inf).amax(1)
            # D products, D + 1 sums and the bias's own error, for each of the two scores
            bound = (codebook.shape[1] + 2) * eps * (part.norm(dim=1) + largest) * largest
            unsettled = (best - runners_up <= bound).nonzero()[:, 0]
            # a quarter of the rows at a time: the indices of a candidate take the memory of four scores
            for few in torch.split(unsettled, max(1, rows // 4)):
                candidates = best[few, None] - scores[few] <= bound[few, None]
                candidates.scatter_(1, winners[few, None], True)
                winners[few] = _nearest_candidates_float64(part[few], codebook, candidates)
            out.copy_(winners)
    return codes


def _nearest_candidates_float64(latents: Tensor, codebook: Tensor, candidates: Tensor) -> Tensor:
    """Index of the nearest of every row's candidates: (N, D), (K, D) and (N, K) bool -> (N,) int64."""
    rows, codes = candidates.nonzero(as_tuple=True)
    distances = torch.zeros(len(rows), dtype=torch.float64, device=codebook.device)
    for d in range(codebook.shape[1]):
        distances += (latents[rows, d].double() - codebook[codes, d].double()).square()
    smallest = distances.new_full((len(latents),), torch.inf).scatter_reduce_(0, rows, distances, "amin")
    nearest = torch.where(distances == smallest[rows], codes, len(codebook))
    return codes.new_full((len(latents),), len(codebook)).scatter_reduce_(0, rows, nearest, "amin")


@torch.no_grad()
def kmeans(
    latents: Tensor, codebook_size: int, *, generator: torch.Generator, iterations: int = 12
) -> Tensor:
    """Lloyd's algorithm from a random sample: (N, D) -> (K, D) float32; an empty cluster restarts.

    Centres restart at random latents. With fewer latents than codes the sample is drawn with repetition.
    """
    latents = latents.float()
    centres = latents[_sample(len(latents), codebook_size, generator).to(latents.device)]
    for _ in range(iterations):
        codes = nearest_codes(latents, centres)
        counts = torch.bincount(codes, minlength=codebook_size)
        sums = torch.zeros_like(centres).index_add_(0, codes, latents)
        restarts = latents[_sample(len(latents), codebook_size, generator).to(latents.device)]
        centres = torch.where((counts > 0)[:, None], sums / counts.clamp(min=1)[:, None], restarts)
    return centres


def _sample(population: int, size: int, generator: torch.Generator) -> Tensor:
    if population >= size:
        return torch.randperm(population, generator=generator)[:size]
    return torch.randint(population, (size,), generator=generator)
