"""Several processes that do one job, as torchrun and its like start them.

    torchrun --nproc-per-node 2 -m sfumato fit ...

Each does its share and all of them hold the same weights; the first alone writes and speaks. With
one process everything here is nothing.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous


def asked_for() -> bool:
    """Whether this process was started as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def restarted() -> bool:
    """Whether torchrun has started the job again after it lost a process."""
    return _restarts() > 0


def _restarts() -> int:
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


@contextmanager
def joined() -> Iterator[None]:
    """Meet the other processes, if there are others, and part from them at the end."""
    if not asked_for() or dist.is_initialized():
        yield
        return
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    store, rank, world = next(rendezvous("env://"))
    # After a restart the addresses of the processes that are gone may still be there.
    fresh = dist.PrefixStore(f"attempt-{_restarts()}", store)  # type: ignore[attr-defined]
    dist.init_process_group(backend, store=fresh, rank=rank, world_size=world)
    try:
        yield
        dist.barrier()  # a process that leaves while another still speaks to it takes that one down
    finally:
        dist.destroy_process_group()


def count() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def number() -> int:
    """Which of them this is, from 0."""
    return dist.get_rank() if count() > 1 else 0


def is_first() -> bool:
    """Whether this is the one that writes and speaks."""
    return number() == 0


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Compute with so many threads, 0: PyTorch's choice; the caller's own number comes back."""
    before = torch.get_num_threads()
    if count:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def own_device() -> torch.device:
    """The GPU of this process, where there is one."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())


def shard(network: nn.Module, blocks: tuple[type[nn.Module], ...]) -> None:
    """Leave each process its part of the weights only; they come together block by block.

    PyTorch's fully_shard, Zhao et al. (2023), which wants weights in one order.

    Args:
        network: changed in place.
        blocks: kinds of its parts whose weights come together at once.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    mesh = init_device_mesh(next(network.parameters()).device.type, (count(),))
    for part in network.modules():
        if isinstance(part, blocks):
            fully_shard(part, mesh=mesh)
    fully_shard(network, mesh=mesh)


def whole(tensor: Tensor) -> Tensor:
    """The tensor itself; of one that is sharded, all parts together, which all must ask for."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def part(tensor: Tensor, like: Tensor) -> Tensor:
    """Of a whole tensor what this process holds of one that may be sharded.

    Raises:
        RuntimeError: if it is of another shape.
    """
    if tensor.shape != like.shape:
        raise RuntimeError(f"a tensor of {tuple(like.shape)} was expected")
    if not hasattr(like, "full_tensor"):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    own: Any = like
    return distribute_tensor(tensor.to(like.device), own.device_mesh, own.placements)


def put(tensor: Tensor, into: Tensor) -> None:
    """Copy a whole tensor into one that may be sharded.

    Raises:
        RuntimeError: if it is of another shape.
    """
    with torch.no_grad():
        into.copy_(part(tensor, into))


def mean(value: float) -> float:
    """The mean of every process's value."""
    if count() == 1:
        return value
    total = torch.tensor(value, dtype=torch.float64)
    dist.all_reduce(total)
    return total.item() / count()


def any_of(flag: bool) -> bool:
    """Whether it is so in any of the processes."""
    if count() == 1:
        return flag
    total = torch.tensor(int(flag))
    dist.all_reduce(total)
    return bool(total)


def shares(n: int, starts: Sequence[int], first: int = 0) -> list[tuple[int, int]]:
    """`(first, n)` of each process's part of `first ... first + n - 1`.

    Args:
        n: how many there are.
        starts: the first numbers of the chunks in which they are computed; only there parts end.
        first: the number of the first.
    """
    ends = [*starts, first + n]
    bounds = [max(ends[len(starts) * k // count()], first) for k in range(count() + 1)]
    return [(a, b - a) for a, b in pairwise(bounds)]


def gathered(rows: np.ndarray, lengths: list[int]) -> np.ndarray:
    """The rows of all processes, in their order, in each of them.

    Args:
        rows: this process's, `(n, ...)`.
        lengths: n of each process.
    """
    if count() == 1:
        return rows
    padded = np.zeros((max(lengths), *rows.shape[1:]), rows.dtype)
    padded[: len(rows)] = rows
    own = torch.from_numpy(padded)
    every: list[Tensor] = [torch.empty_like(own) for _ in lengths]
    dist.all_gather(every, own)
    return np.concatenate([part.numpy()[:n] for part, n in zip(every, lengths, strict=True)])
