"""The processes that torchrun starts to train one model together, rank 0 the first of them.

Each rank has the whole model and an equal share of every batch. DistributedDataParallel averages gradients
over the ranks; whatever else depends on the batch is summed, gathered or decided by the first rank, here. A
process alone has nobody to ask: every call returns what it was given.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from vqvae.config import require

T = TypeVar("T")
PATIENCE = timedelta(hours=2)  # the others wait while the first one measures and writes


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process and those beside it."""

    size: int = 1
    rank: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this is the rank that writes and prints."""
        return self.rank == 0

    def share(self, num: int) -> range:
        """Which of the first `num` integers are this rank's; every rank's in turn are all of them."""
        each = num // self.size
        return range(self.rank * each, (self.rank + 1) * each)

    def replicated(self, module: nn.Module, *, some_unused: bool = False) -> nn.Module:
        """A module whose backward pass leaves gradients averaged over the ranks.

        Args:
            some_unused: whether there are backward passes that do not reach all of its parameters.
        """
        if self.size == 1:
            return module
        # buffers are equal already: what they hold of a batch was summed over the ranks
        return DistributedDataParallel(module, broadcast_buffers=False, find_unused_parameters=some_unused)

    def total(self, tensor: Tensor) -> Tensor:
        """The sum of a tensor over the ranks."""
        if self.size == 1:
            return tensor
        tensor = tensor.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(tensor)
        return tensor

    def mean(self, tensor: Tensor) -> Tensor:
        """The mean of a tensor over the ranks."""
        return tensor if self.size == 1 else self.total(tensor) / self.size

    def gathered(self, rows: Tensor) -> Tensor:
        """The rows (n, ...) of every rank in turn: (size * n, ...)."""
        if self.size == 1:
            return rows
        parts = [torch.empty_like(rows, memory_format=torch.contiguous_format) for _ in range(self.size)]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    def decide_(self, module: nn.Module, change: Callable[[], object]) -> None:
        """Let the first rank change a module, and the others take what has become of it."""
        if self.is_first:
            change()
        if self.size > 1:
            for tensor in module.state_dict().values():
                flat = tensor.contiguous()
                dist.broadcast(flat, 0)
                tensor.copy_(flat)

    def any(self, flag: bool) -> bool:
        """Whether a flag is set on any rank."""
        if self.size == 1:
            return flag
        flags = torch.tensor(int(flag))  # on the processor: nothing waits for a GPU
        dist.all_reduce(flags, dist.ReduceOp.MAX)
        return bool(flags)

    def each(self, value: T) -> list[T]:
        """What every rank has, in turn."""
        if self.size == 1:
            return [value]
        values: list[T | None] = [None] * self.size
        dist.all_gather_object(values, value)
        return cast(list[T], values)

    def from_first(self, value: T | None) -> T:
        """What the first rank has, as soon as it has it; nobody looks at what the others have."""
        return cast(T, self.each(value)[0])


ALONE = Ranks()


def own_device(device: torch.device) -> torch.device:
    """The device of this process: that one, but of those that torchrun has started each has its own GPU."""
    if not dist.is_torchelastic_launched():
        return device
    require(device.type in ("cpu", "cuda"), "several processes train on cpu or cuda", device.type)
    if device.type == "cpu":
        return device
    local_rank, num_gpus = dist.get_node_local_rank(), torch.cuda.device_count()
    rule = f"torchrun can start one process for each of the {num_gpus} GPUs here"
    require(local_rank < num_gpus, rule, f"process {local_rank + 1}")
    return torch.device("cuda", local_rank)


@contextmanager
def together(device: torch.device) -> Iterator[Ranks]:
    """The ranks that torchrun has started, this process among them on its device; without it, `ALONE`."""
    if not dist.is_torchelastic_launched():
        yield ALONE
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=PATIENCE)
    yield Ranks(dist.get_world_size(), dist.get_rank())
    dist.destroy_process_group()  # not after an error: it may wait for ranks that will not come


def leave(ranks: Ranks) -> None:
    """End this process at once, all being done, unless it is alone.

    With torch 2.13 the threads of gloo outlive their group, and once in thirty exits they abort a process
    that takes itself apart in order, which torchrun tells as a failure of the training.
    """
    if ranks.size == 1:
        return
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
