"""The training loop: explicit, resumable bit for bit, one record per group of steps.

`Training` is everything that changes while a network learns; `train` moves it forward. What the
network learns is its `Objective`. All that is drawn comes from the one generator that `Training`
owns, step by step: first a step's rows, then what the objective draws. What follows from the draws
alone is computed for many steps at once, as small operations cost more to call than to do.

Several processes draw the same and each takes its share of the batch; their gradients are averaged
by PyTorch's DistributedDataParallel, so that all of them take the same step.
"""

import math
import os
import shutil
import warnings
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn

from sfumato import distributed
from sfumato.config import TrainingSettings
from sfumato.errors import ArgumentError, DivergedError, RunError
from sfumato.networks.dit import TransformerBlock
from sfumato.networks.unet import AttentionBlock, ResidualBlock
from sfumato.process.streams import TRAINING, generator
from sfumato.training.averaging import Average
from sfumato.training.muon import Muon
from sfumato.training.optimizer import AdamW, Optimizer, learning_rate

# Numbers that are prepared together; what is more does not stay in a processor's cache.
_PREPARED = 2**18

_WEIGHT_DECAY = 0.01

# What is brought together at once of a network whose weights are sharded.
_BLOCKS = (ResidualBlock, AttentionBlock, TransformerBlock)


def _in_parallel(network: nn.Module) -> nn.Module:
    """The network, whose gradients are those of all processes where there are several."""
    if distributed.count() == 1:
        return network
    with warnings.catch_warnings():  # the newest PyTorch has another name for it, the older not yet
        warnings.simplefilter("ignore", FutureWarning)
        return nn.parallel.DistributedDataParallel(
            network, broadcast_buffers=False, gradient_as_bucket_view=True
        )


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether a device says that it multiplies bfloat16 natively."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # A PyTorch that cannot tell what its processor has, and other devices, stay with float32.
    asked = getattr(torch.cpu, "get_capabilities", dict) if device.type == "cpu" else dict
    able: dict[str, object] = asked()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def _in_bfloat16(settings: TrainingSettings, device: torch.device) -> bool:
    """Whether the network's products are to be bfloat16's; `auto` is of runs that never measured.

    `training.precision` measures before a run is begun.
    """
    if settings.precision != "auto":
        return settings.precision == "bfloat16"
    return multiplies_bfloat16(device)


def _compiled(network: nn.Module) -> nn.Module:
    """The network, translated by PyTorch's compiler when it is first called."""
    on_cpu = next(network.parameters()).device.type == "cpu"
    if on_cpu and not any(map(shutil.which, (os.environ.get("CXX", "g++"), "clang++", "cl"))):
        raise ArgumentError(
            "training.compile needs a C++ compiler, and there is no g++ or clang++ here; install "
            "one, or leave it out."
        )
    return torch.compile(network)  # type: ignore[return-value]


def _optimizer(network: nn.Module, settings: TrainingSettings) -> Optimizer:
    if settings.optimizer == "muon":
        return Muon(network, _WEIGHT_DECAY)
    return AdamW(network.parameters(), 0.0 if settings.optimizer == "adam" else _WEIGHT_DECAY)


V = TypeVar("V")
V_co = TypeVar("V_co", covariant=True)


@runtime_checkable
class Rows(Protocol[V_co]):
    """Encoded rows to learn from: a tensor `(n, *event)`, pictures held as bytes, a table."""

    def __len__(self) -> int:
        """How many."""
        ...

    def __getitem__(self, index: Tensor, /) -> V_co:
        """The rows at `index` `(k,)`."""
        ...


@runtime_checkable
class Trainable(Protocol):
    """A denoiser whose network is trained."""

    @property
    def network(self) -> nn.Module:
        """The network."""
        ...

    def with_network(self, network: nn.Module) -> "Trainable":
        """The same denoiser of another network."""
        ...


@runtime_checkable
class Batch(Protocol):
    """What the losses of some rows are computed from."""

    def __len__(self) -> int:
        """How many rows."""
        ...

    def __getitem__(self, some: slice, /) -> "Batch":
        """Some of the rows."""
        ...


@runtime_checkable
class DrawnBatch(Protocol):
    """What was drawn of some rows, on the CPU."""

    def to(self, device: torch.device) -> "DrawnBatch":
        """The same rows on a device."""
        ...


@runtime_checkable
class Objective(Protocol):
    """What a network learns: what a step draws, and the loss of each row.

    Rows, batches and denoisers are of the objective's own types; the loop hands them on.
    """

    @property
    def min_rows(self) -> int:
        """The least rows of a step; those that exceed the batch are not noised themselves."""
        ...

    @property
    def numbers_per_row(self) -> int:
        """How many numbers a row takes while batches are prepared."""
        ...

    @property
    def is_adaptive(self) -> bool:
        """Whether a step's draws depend on the losses of the step before."""
        ...

    def draw(self, size: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """All that a step of `size` rows draws after the rows themselves, `(size, ...)` each."""
        ...

    def batch(self, data: Any, index: Tensor, own: slice, draws: tuple[Tensor, ...]) -> DrawnBatch:
        """The batches of several steps, one after another.

        Args:
            data: all encoded rows.
            index: the rows of each step, `(steps, rows)`.
            own: which rows of a step are in this process's batch.
            draws: from `draw`, of these rows, `(steps * batch, ...)` each.
        """
        ...

    def prepared(self, denoiser: Any, batch: Any) -> Batch:
        """The same batches with all that their losses need and the weights have no say in."""
        ...

    def losses(self, denoiser: Any, batch: Any) -> Tensor:
        """The loss of each row of a prepared batch, `(batch,)`."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """All that the objective remembers of past steps, by name."""
        ...

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take up what `tensors` gave; a checkpoint's other tensors are among them.

        Raises:
            KeyError: if a part is missing.
            RuntimeError: if one is of another shape.
        """
        ...


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What a group of steps did: `loss` and `gradient_norm` are means over the group."""

    step: int
    num_steps: int
    epoch: float
    loss: float
    gradient_norm: float
    learning_rate: float


def num_steps(settings: TrainingSettings, rows: int) -> int:
    """How many steps the settings ask for: as given, or as passes over the rows."""
    if settings.epochs is None:
        return settings.steps
    return settings.epochs * math.ceil(rows / settings.batch_size)


def ahead(items: Iterator[V]) -> Generator[V, None, None]:
    """The same items, the next one made by a thread while one is in use: a GPU need not wait."""
    with ThreadPoolExecutor(1) as maker:
        following = maker.submit(next, items, None)
        while (item := following.result()) is not None:
            following = maker.submit(next, items, None)
            yield item


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """What the batches of a window of steps are drawn from.

    Args:
        step: before its first.
        generator: state of the generator.
        order: of the rows in the pass.
        position: of the next row in it.
    """

    step: int
    generator: Tensor
    order: Tensor
    position: int


class Training:
    """The network and all else that changes while it learns.

    Args:
        denoiser: holds the network; its weights are changed in place.
        objective: what it learns, see `training.regression` and `training.masking`.
        data: encoded rows.
        settings: the recipe.
        seed: decides every draw.

    Raises:
        ArgumentError: if the processes cannot share a batch evenly, or there is nothing to
            compile with.
    """

    def __init__(
        self,
        denoiser: Trainable,
        objective: Objective,
        data: Rows[Any],
        settings: TrainingSettings,
        *,
        seed: int,
    ) -> None:
        if settings.batch_size % distributed.count():
            raise ArgumentError(
                f"training.batch_size is the rows of all processes together, and "
                f"{distributed.count()} cannot share {settings.batch_size} evenly; take a multiple."
            )
        size = settings.batch_size // distributed.count()
        self.share: slice = slice(distributed.number() * size, (distributed.number() + 1) * size)
        self.micro_batch: int = settings.micro_batch or size
        self.network: nn.Module = denoiser.network
        self.sharded: bool = settings.shard and distributed.count() > 1
        copy = deepcopy(self.network)
        self._whole = deepcopy(copy).cpu() if self.sharded else None
        if self.sharded:
            for each in (self.network, copy):
                distributed.shard(each, _BLOCKS)
        together = self.network if self.sharded else _in_parallel(self.network)
        together = _compiled(together) if settings.compile else together
        self.denoiser: Trainable = denoiser.with_network(together)
        self.device: torch.device = next(self.network.parameters()).device
        self.in_bfloat16: bool = _in_bfloat16(settings, self.device)
        self.objective = objective
        self.data = data
        self.rows_drawn: int = max(settings.batch_size, objective.min_rows)
        self.settings = settings
        self.num_steps: int = num_steps(settings, len(data))
        self.average: Average = Average(self.network, copy, settings.average)
        self.optimizer: Optimizer = _optimizer(self.network, settings)
        self.seed = seed
        # Where a training was gone on with, a part of it ended too.
        self.ends: list[int] = [*(part.until for part in settings.past), self.num_steps]
        self.generator: torch.Generator = generator(seed, TRAINING)
        self.order: Tensor = torch.empty(0, dtype=torch.int64)
        self.position: int = 0
        self.step: int = 0
        self._drawn: Generator[tuple[Source, Batch], None, None] = self._windows(0)
        self._draw_from(self._now(0))

    def next_rows(self) -> Tensor:
        """Which rows a step sees, `(rows_drawn,)`: the next of a shuffled pass.

        What is left of a pass and is too little goes back into the shuffle; fewer rows than a
        step sees are repeated.
        """
        if self.position + self.rows_drawn > len(self.order):
            passes = math.ceil(self.rows_drawn / len(self.data))
            self.order = torch.cat(
                [torch.randperm(len(self.data), generator=self.generator) for _ in range(passes)]
            )
            self.position = 0
        rows = self.order[self.position : self.position + self.rows_drawn]
        self.position += self.rows_drawn
        return rows

    def batches(self, steps: int) -> Iterator[Batch]:
        """The batch of each of the next steps."""
        for source, batch in islice(self._batches, steps):
            self._source = source
            yield batch

    def _draw_from(self, source: Source, skip: int = 0) -> None:
        """Go on with the batch that is `skip` steps behind where a window begins."""
        self.close()  # a thread would still draw from the generator
        self.generator.set_state(source.generator)
        self.order, self.position = source.order, source.position
        self._source = source
        drawn = self._windows(source.step)
        threaded = self.device.type != "cpu" and not self.objective.is_adaptive
        self._drawn = ahead(drawn) if threaded else drawn
        self._batches: Iterator[tuple[Source, Batch]] = islice(self._drawn, skip, None)

    def close(self) -> None:
        """Prepare no more batches, so that the memory is free once nothing else holds this."""
        self._drawn.close()

    def _windows(self, step: int) -> Generator[tuple[Source, Batch], None, None]:
        """The batch of each step, and what to resume from after it.

        As many steps are prepared together as it pays; where such a window ends does not depend
        on how many batches are asked for, nor on where a training was resumed.
        """
        numbers = self.rows_drawn * self.objective.numbers_per_row
        together = 1 if self.objective.is_adaptive else max(1, _PREPARED // numbers)
        source = self._now(step)
        while True:
            steps = min([together, *(end - step for end in self.ends if end > step)])
            prepared = self._prepared(steps)
            step += steps
            after = self._now(step)
            yield from ((source, batch) for batch in prepared[:-1])
            yield after, prepared[-1]
            source = after

    def _now(self, step: int) -> Source:
        return Source(step, self.generator.get_state(), self.order, self.position)

    def _prepared(self, steps: int) -> list[Batch]:
        size = self.share.stop - self.share.start
        drawn = [
            (self.next_rows(), self.objective.draw(self.settings.batch_size, self.generator))
            for _ in range(steps)
        ]
        index = torch.stack([rows for rows, _ in drawn])
        draws = zip(*([part[self.share] for part in parts] for _, parts in drawn), strict=True)
        batch = self.objective.batch(
            self.data, index, self.share, tuple(torch.cat(each) for each in draws)
        )
        prepared = self.objective.prepared(self.denoiser, batch.to(self.device))
        return [prepared[first : first + size] for first in range(0, len(prepared), size)]

    @contextmanager
    def learning(self) -> Iterator[None]:
        """Where steps are taken: the network is in training mode here, and nowhere else.

        What it leaves out at random follows from the seed and the step; PyTorch's own generators
        go on as if nothing had been drawn. Of a GPU's convolutions those are taken that give the
        same sums each time.
        """
        network, devices = self.denoiser.network, [self.device] * (self.device.type != "cpu")
        masks = generator(self.seed, TRAINING, self.step, distributed.number())
        before = torch.backends.cudnn.deterministic
        torch.backends.cudnn.deterministic = True
        network.train()
        try:
            with torch.random.fork_rng(devices, device_type=self.device.type):
                # To seed devices that there are not, PyTorch would note each step's traceback.
                seed_all = torch.default_generator if self.device.type == "cpu" else torch
                seed_all.manual_seed(masks.initial_seed())
                yield
        finally:
            torch.backends.cudnn.deterministic = before
            network.eval()
            self.average.take_buffers()

    def descend(self, batch: Batch) -> tuple[float, float]:
        """One step down, and the average after it; the loss and the gradient before clipping.

        To be called within `learning`.

        Raises:
            DivergedError: if either is not finite; the weights are then unchanged.
        """
        assert self.denoiser.network.training, "a step is taken within `learning`"
        self.optimizer.forget_gradients()
        own = 0.0
        for first in range(0, len(batch), self.micro_batch):
            part = batch[first : first + self.micro_batch]
            last = first + self.micro_batch >= len(batch)
            with self._unshared(last):
                with self._precision():
                    share = self.objective.losses(self.denoiser, part).sum() / len(batch)
                share.backward()
            own += share.item()
        value = distributed.mean(own)
        norm = self.optimizer.clip(self.settings.clip)
        if not (math.isfinite(value) and math.isfinite(norm)):
            raise DivergedError(
                f"the loss is {value} at step {self.step + 1} (gradient norm {norm}); start again "
                f"with --set training.learning_rate={self.settings.learning_rate / 3:.2g}. The "
                "last checkpoint is whole.",
                code="diverged",
                step=self.step + 1,
            )
        self.optimizer.step(learning_rate(self.step, self.num_steps, self.settings))
        self.average.follow()
        self.step += 1
        return value, norm

    def _precision(self) -> AbstractContextManager[object]:
        if not self.in_bfloat16:
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def _unshared(self, last: bool) -> AbstractContextManager[object]:
        """Gradients are shared with the other processes when the last of a step are there."""
        if self.sharded:
            self.network.set_requires_gradient_sync(last)  # type: ignore[operator]
        if last or self.sharded or distributed.count() == 1:
            return nullcontext()
        return self.denoiser.network.no_sync()  # type: ignore[no-any-return,operator]

    def drawing_network(self, *, last: bool) -> nn.Module:
        """The network to draw samples with; all processes must ask for it together.

        Args:
            last: with the weights as they are now, and not their average.
        """
        network = self.network if last else self.average.network
        if self._whole is None:
            return network
        weights = {name: distributed.whole(value) for name, value in network.state_dict().items()}
        self._whole.load_state_dict(weights)
        return self._whole

    def tensors(self) -> dict[str, Tensor]:
        """All that `restore` needs besides `numbers`; all processes must ask for it together."""
        parts = {
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "optimizer": self.optimizer.tensors(),
        }
        return {
            **{
                f"{part}.{name}": distributed.whole(value)
                for part, tensors in parts.items()
                for name, value in tensors.items()
            },
            **self.objective.tensors(),
            "generator": self._source.generator,
            "order": self._source.order,
        }

    def numbers(self) -> dict[str, int]:
        """Where training stands."""
        return {
            "step": self.step,
            "drawn": self._source.step,
            "position": self._source.position,
            "averaged": self.average.count,
        }

    def restore(self, tensors: dict[str, Tensor], numbers: dict[str, int]) -> None:
        """Take up exactly where `tensors` and `numbers` were taken.

        Raises:
            RunError: if they belong to another network.
        """
        parts: dict[str, dict[str, Tensor]] = {
            part: {} for part in ("network", "average", "optimizer")
        }
        for name, value in tensors.items():
            part, _, rest = name.partition(".")
            if part in parts:
                parts[part][rest] = value
        try:
            for part, network in (("network", self.network), ("average", self.average.network)):
                for name, own in network.state_dict().items():
                    distributed.put(parts[part][name], own)
            self.optimizer.restore(parts["optimizer"])
            self.objective.restore(tensors)
            self.step, self.average.count = numbers["step"], numbers["averaged"]
            drawn = numbers.get("drawn", self.step)  # before there were windows
            self._draw_from(
                Source(drawn, tensors["generator"], tensors["order"], numbers["position"]),
                self.step - drawn,
            )
        except (RuntimeError, KeyError, ValueError) as error:
            raise RunError(
                "the checkpoint does not fit these settings; it was made by another network."
            ) from error


def train(training: Training) -> Iterator[StepRecord]:
    """Train to the end, yielding after every `log_every` steps and after the last.

    Between two records the state is at rest: it may be saved, sampled from, or left.

    Args:
        training: of `regression_training`, new or part of the way.

    Yields:
        Step, epoch, mean loss, mean norm of the gradient and learning rate of each group of steps.

    Raises:
        DivergedError: if the loss is no longer finite.
    """
    every = training.settings.log_every
    while training.step < training.num_steps:
        end = next(each for each in training.ends if each > training.step)
        group = min(every - training.step % every, end - training.step)
        with training.learning():
            done = [training.descend(batch) for batch in training.batches(group)]
        losses, norms = zip(*done, strict=True)
        yield StepRecord(
            step=training.step,
            num_steps=training.num_steps,
            epoch=training.step * training.settings.batch_size / len(training.data),
            loss=math.fsum(losses) / group,
            gradient_norm=math.fsum(norms) / group,
            learning_rate=learning_rate(training.step - 1, training.num_steps, training.settings),
        )
