"""The training loop: explicit, resumable bit for bit, one record per group of steps.

`Training` is everything that changes while a network learns; `train` moves it forward. What is
drawn (rows, times, noise) comes from the one generator that `Training` owns, step by step; what
follows from the draws alone is computed for many steps at once, as small operations cost more to
call than to do.

Several processes draw the same and each takes its share of the batch; their gradients are averaged
by PyTorch's DistributedDataParallel, so that all of them take the same step.
"""

import math
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from sfumato import parallel
from sfumato.config import TrainingSettings
from sfumato.denoisers.denoiser import NetworkDenoiser
from sfumato.denoisers.guidance import Labelled, Told
from sfumato.denoisers.table import TableDenoiser
from sfumato.errors import ArgumentError, DivergedError, RunError, unknown
from sfumato.networks.dit import TransformerBlock
from sfumato.networks.unet import AttentionBlock, ResidualBlock
from sfumato.process.kernels import noised
from sfumato.process.noise import NoiseLevel
from sfumato.process.random import TRAINING, generator
from sfumato.process.schedules import Schedule
from sfumato.process.tables import Table
from sfumato.training.averaging import Average
from sfumato.training.learning_rate import learning_rate
from sfumato.training.loss import WEIGHTINGS, hybrid_loss, loss
from sfumato.training.masking import Asked, Masking, table_loss
from sfumato.training.optimizer import AdamW
from sfumato.training.targets import posterior_means
from sfumato.training.times import TIME_DRAWS, Importance, level_at

# Numbers that are prepared together; what is more does not stay in a processor's cache.
_PREPARED = 2**18

_NOTHING_TOLD = Told(0)

# What is brought together at once of a network whose weights are sharded.
_BLOCKS = (ResidualBlock, AttentionBlock, TransformerBlock)


def _in_parallel(network: nn.Module) -> nn.Module:
    """The network, whose gradients are those of all processes where there are several."""
    if parallel.count() == 1:
        return network
    with warnings.catch_warnings():  # the newest PyTorch has another name for it, the older not yet
        warnings.simplefilter("ignore", FutureWarning)
        return nn.parallel.DistributedDataParallel(
            network, broadcast_buffers=False, gradient_as_bucket_view=True
        )


def _in_bfloat16(settings: TrainingSettings, device: torch.device) -> bool:
    """Whether the network's products are to be bfloat16's."""
    if settings.precision != "auto":
        return settings.precision == "bfloat16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # A PyTorch that cannot tell what its processor has, and other devices, stay with float32.
    asked = getattr(torch.cpu, "get_capabilities", dict) if device.type == "cpu" else dict
    able: dict[str, object] = asked()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def _compiled(network: nn.Module) -> nn.Module:
    """The network, translated by PyTorch's compiler when it is first called."""
    on_cpu = next(network.parameters()).device.type == "cpu"
    if on_cpu and not any(map(shutil.which, (os.environ.get("CXX", "g++"), "clang++", "cl"))):
        raise ArgumentError(
            "training.compile needs a C++ compiler, and there is no g++ or clang++ here; install "
            "one, or leave it out."
        )
    return torch.compile(network)  # type: ignore[return-value]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """All that one step needs.

    Args:
        x_0: clean rows, `(batch, *event)`.
        u: what their times were drawn as, `(batch,)`.
        level: one each, `(batch,)`.
        eps: noise, shaped like x_0.
        target: what is to be predicted in x_0's place, or None.
        label: what the network is told of each row's class, `(batch,)`, or None.
        asked: of a table, what the network is told and asked of each row, or None.
    """

    x_0: Tensor
    u: Tensor
    level: NoiseLevel
    eps: Tensor
    target: Tensor | None
    label: Tensor | None
    asked: Asked | None = None

    def to(self, device: torch.device) -> "Batch":
        """The same, its rows on a device."""
        return replace(
            self,
            x_0=self.x_0.to(device),
            eps=self.eps.to(device),
            target=None if self.target is None else self.target.to(device),
            asked=None if self.asked is None else self.asked.to(device),
        )

    def split(self, size: int) -> Iterator["Batch"]:
        """Its rows, `size` at a time."""
        for first in range(0, len(self.x_0), size):
            some = slice(first, first + size)
            yield Batch(
                self.x_0[some],
                self.u[some],
                self.level[some],
                self.eps[some],
                None if self.target is None else self.target[some],
                None if self.label is None else self.label[some],
                None if self.asked is None else self.asked[some],
            )


@runtime_checkable
class Rows(Protocol):
    """What is learned from, encoded: a tensor `(n, *event)`, or pictures that are held as bytes."""

    def __len__(self) -> int:
        """How many."""
        ...

    def __getitem__(self, index: Tensor, /) -> Tensor:
        """The rows at `index` `(k,)`: `(k, *event)`."""
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


class Training:
    """The network and all else that changes while it learns.

    Args:
        denoiser: holds the network; its weights are changed in place.
        process: where noise levels come from.
        data: encoded rows.
        settings: the recipe.
        seed: decides every draw.
        labels: of the rows, `(n,)`, where the network learns classes.
        told: what numbers the network is told for its classes.
        masking: of a table, which part of a row is known; its rows are numbers and levels.

    Raises:
        ArgumentError: if a time draw or weighting is unknown, a variance is to be learned for a
            process that is not a table, targets are to be averaged over classes, the processes
            cannot share a batch evenly, or there is nothing to compile with.
    """

    def __init__(
        self,
        denoiser: NetworkDenoiser | TableDenoiser,
        process: Schedule | Table,
        data: Rows,
        settings: TrainingSettings,
        *,
        seed: int,
        labels: Tensor | None = None,
        told: Told = _NOTHING_TOLD,
        masking: Masking | None = None,
    ) -> None:
        if settings.times not in TIME_DRAWS:
            raise unknown("time draw", settings.times, TIME_DRAWS)
        if settings.weighting not in WEIGHTINGS:
            raise unknown("weighting", settings.weighting, WEIGHTINGS)
        self.loss: Callable[..., Tensor] = loss
        self.rows_drawn = max(settings.batch_size, settings.reference)
        if denoiser.learns_variance:
            if not isinstance(process, Table):
                raise ArgumentError(
                    "a learned variance is that of a table's steps, and this process is continuous;"
                    " set process.num_levels (1000, say) or do without learning the variance."
                )
            self.loss = partial(hybrid_loss, table=process)
        if settings.reference and told.count:
            raise ArgumentError(
                "training.reference averages over rows of all classes, mirrored or not; set it to "
                "0 with classes or training.flip."
            )
        if settings.reference and masking:
            raise ArgumentError(
                "training.reference averages over whole rows, and of a table's a part is known; "
                "set it to 0."
            )
        if settings.batch_size % parallel.count():
            raise ArgumentError(
                f"training.batch_size is the rows of all processes together, and {parallel.count()}"
                f" cannot share {settings.batch_size} evenly; take a multiple."
            )
        if settings.times == "importance" and parallel.count() > 1:
            raise ArgumentError(
                "training.times=importance remembers the losses of one process; take another."
            )
        size = settings.batch_size // parallel.count()
        self.share = slice(parallel.number() * size, (parallel.number() + 1) * size)
        self.micro_batch = settings.micro_batch or size
        self.weight = WEIGHTINGS[settings.weighting](denoiser.parameterisation, process)
        self.times = TIME_DRAWS[settings.times](process)
        self.network = denoiser.network
        self.sharded = settings.shard and parallel.count() > 1
        copy = deepcopy(self.network)
        if self.sharded:
            for each in (self.network, copy):
                parallel.shard(each, _BLOCKS)
        together = self.network if self.sharded else _in_parallel(self.network)
        together = _compiled(together) if settings.compile else together
        self.denoiser = replace(denoiser, network=together)
        self.device = next(self.network.parameters()).device
        self.in_bfloat16 = _in_bfloat16(settings, self.device)
        self.process = process
        self.data = data
        self.labels = labels
        self.told = told
        self.masking = masking
        row = data[torch.zeros(1, dtype=torch.int64)].shape[1:]
        self.event = row if masking is None else torch.Size((len(masking.states),))
        self.settings = settings
        self.num_steps = num_steps(settings, len(data))
        self.average = Average(self.network, copy, settings.average)
        self.weights = list(self.network.parameters())
        self.optimizer = AdamW(self.weights, 0.0 if settings.optimizer == "adam" else 0.01)
        self.seed = seed
        self.generator = generator(seed, TRAINING)
        self.order = torch.empty(0, dtype=torch.int64)
        self.position = 0
        self.step = 0

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
        """What the next steps need, as many at a time as it pays to prepare together."""
        if isinstance(self.times, Importance):  # which asks for the losses of the step before
            together = 1
        else:
            numbers = math.prod(self.event) if self.masking is None else self.masking.draws
            together = max(1, _PREPARED // (self.rows_drawn * numbers))
        for first in range(0, steps, together):
            yield from self._prepared(min(together, steps - first))

    def _prepared(self, steps: int) -> Iterator[Batch]:
        draws = [self._draws() for _ in range(steps)]
        index, *own = (torch.stack(each) for each in zip(*draws, strict=True))
        mirrored, hidden, u, eps, lots = (each[:, self.share] for each in own)
        size, level = u.shape[1], level_at(self.process, u.flatten())
        rows = index if self.settings.reference else index[:, self.share]
        values = self.data[rows.flatten()].unflatten(0, rows.shape)
        x_0 = values[:, self.share] if self.settings.reference else values
        asked = None
        if self.masking is not None:
            asked = self.masking(x_0.flatten(0, 1), lots.flatten(0, 1))
            x_0 = x_0[..., : self.event[0]]
        if self.told.mirrored:
            turned = mirrored[(..., *[None] * len(self.event))]
            x_0 = torch.where(turned, x_0.flip(-1), x_0)
        targets = None
        if self.settings.reference:
            x_t = noised(x_0.flatten(0, 1), level).draw(eps.flatten(0, 1))
            targets = posterior_means(x_t.view_as(x_0), level, values)
        for k in range(steps):
            some = slice(k * size, (k + 1) * size)
            label = self._label(index[k][self.share], mirrored[k], hidden[k])
            target = targets[k] if targets is not None else None
            own_asked = asked[some] if asked is not None else None
            batch = Batch(x_0[k], u[k], level[some], eps[k], target, label, own_asked)
            yield batch.to(self.device)

    def _draws(self) -> tuple[Tensor, ...]:
        """Of one step: rows, which are mirrored, whose class is hidden, times, noise, masks."""
        size, source = self.settings.batch_size, self.generator
        rows, nobody = self.next_rows(), torch.zeros(size, dtype=torch.bool)
        return (
            rows,
            torch.rand(size, generator=source) < 0.5 if self.told.mirrored else nobody,
            torch.rand(size, generator=source) < self.settings.label_dropout
            if self.told.classes
            else nobody,
            self.times(size, source),
            torch.randn(size, *self.event, generator=source),
            torch.rand(size, 0 if self.masking is None else self.masking.draws, generator=source),
        )

    def _label(self, rows: Tensor, mirrored: Tensor, hidden: Tensor) -> Tensor | None:
        """What the network is told of a step's rows."""
        if not self.told.count:
            return None
        label = torch.full_like(rows, self.told.any)
        if self.labels is not None:
            label = torch.where(hidden, self.told.any, self.labels[rows])
        return self.told.of(label, mirrored)

    @contextmanager
    def learning(self) -> Iterator[None]:
        """Where steps are taken: the network is in training mode here, and nowhere else.

        What it leaves out at random follows from the seed and the step; PyTorch's own generators
        go on as if nothing had been drawn.
        """
        network, devices = self.denoiser.network, [self.device] * (self.device.type != "cpu")
        masks = generator(self.seed, TRAINING, self.step, parallel.number())
        network.train()
        try:
            with torch.random.fork_rng(devices, device_type=self.device.type):
                torch.manual_seed(masks.initial_seed())
                yield
        finally:
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
        for done, part in enumerate(batch.split(self.micro_batch), start=1):
            last = done * self.micro_batch >= len(batch.x_0)
            with self._unshared(last):
                with self._precision():
                    share = self._losses(part).sum() / len(batch.x_0)
                share.backward()
            own += share.item()
        value = parallel.mean(own)
        norm = parallel.whole(nn.utils.clip_grad_norm_(self.weights, self.settings.clip)).item()
        if not (math.isfinite(value) and math.isfinite(norm)):
            raise DivergedError(
                f"the loss is {value} at step {self.step + 1} (gradient norm {norm}); start again "
                f"with --set training.learning_rate={self.settings.learning_rate / 3:.2g}. The "
                "last checkpoint is whole."
            )
        self.optimizer.step(learning_rate(self.step, self.num_steps, self.settings))
        self.average.follow()
        self.step += 1
        return value, norm

    def _losses(self, batch: Batch) -> Tensor:
        """Of each row of a batch."""
        if isinstance(self.denoiser, TableDenoiser):
            assert batch.asked is not None
            assert self.masking is not None
            return table_loss(
                self.denoiser,
                batch.x_0,
                batch.level,
                batch.eps,
                self.weight,
                batch.asked,
                self.masking.sizes,
            )
        denoise = self.denoiser if batch.label is None else Labelled(self.denoiser, batch.label)
        losses = self.loss(denoise, batch.x_0, batch.level, batch.eps, self.weight, batch.target)
        if isinstance(self.times, Importance):
            losses = self.times.reweighted(batch.u, losses)
        return losses

    def _precision(self) -> AbstractContextManager[object]:
        if not self.in_bfloat16:
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def _unshared(self, last: bool) -> AbstractContextManager[object]:
        """Gradients are shared with the other processes when the last of a step are there."""
        if self.sharded:
            self.network.set_requires_gradient_sync(last)  # type: ignore[operator]
        if last or self.sharded or parallel.count() == 1:
            return nullcontext()
        return self.denoiser.network.no_sync()  # type: ignore[no-any-return,operator]

    def tensors(self) -> dict[str, Tensor]:
        """All that `restore` needs besides `numbers`; all processes must ask for it together."""
        times = {}
        if isinstance(self.times, Importance):
            times = {"times.losses": self.times.losses, "times.count": self.times.count}
        parts = {
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "optimizer": self.optimizer.tensors(),
        }
        return {
            **{
                f"{part}.{name}": parallel.whole(value)
                for part, tensors in parts.items()
                for name, value in tensors.items()
            },
            **times,
            "generator": self.generator.get_state(),
            "order": self.order,
        }

    def numbers(self) -> dict[str, int]:
        """Where training stands."""
        return {"step": self.step, "position": self.position, "averaged": self.average.count}

    def restore(self, tensors: dict[str, Tensor], numbers: dict[str, int]) -> None:
        """Take up exactly where `tensors` and `numbers` were taken.

        Raises:
            RunError: if they belong to another network.
        """
        parts: dict[str, dict[str, Tensor]] = {
            part: {} for part in ("network", "average", "optimizer", "times")
        }
        for name, value in tensors.items():
            part, _, rest = name.partition(".")
            if rest:
                parts[part][rest] = value
        try:
            for part, network in (("network", self.network), ("average", self.average.network)):
                for name, own in network.state_dict().items():
                    parallel.put(parts[part][name], own)
            self.optimizer.restore(parts["optimizer"])
            if isinstance(self.times, Importance):
                self.times.losses.copy_(parts["times"]["losses"])
                self.times.count.copy_(parts["times"]["count"])
            self.generator.set_state(tensors["generator"])
            self.order = tensors["order"]
            self.step, self.position = numbers["step"], numbers["position"]
            self.average.count = numbers["averaged"]
        except (RuntimeError, KeyError, ValueError) as error:
            raise RunError(
                "the checkpoint does not fit these settings; it was made by another network."
            ) from error


def train(training: Training) -> Iterator[StepRecord]:
    """Train to the end, yielding after every `log_every` steps and after the last.

    Between two records the state is at rest: it may be saved, sampled from, or left.

    Raises:
        DivergedError: if the loss is no longer finite.
    """
    every = training.settings.log_every
    while training.step < training.num_steps:
        group = min(every - training.step % every, training.num_steps - training.step)
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
