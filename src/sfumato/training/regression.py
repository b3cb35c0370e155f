"""Learning to denoise by regression: a row is noised, and the network predicts it.

A step draws, for each row of its batch,

    (1)  whether it is mirrored (pictures), and whether its class is hidden (classes)
    (2)  u, and by it the noise level, see `training.times`
    (3)  eps ~ N(0, I)

and its loss is `training.loss`: that of the noised row itself, or of the mean of all rows that it
may have been (`training.stable_targets`), for some rows at wider noise (`training.wider_noise`). A
hidden class becomes the number for `any class`, so that one network learns E[x_0 | x_t, class] and
E[x_0 | x_t]: Ho & Salimans (2022), algorithm 1.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato import distributed
from sfumato.config import TrainingSettings
from sfumato.denoisers.denoiser import NetworkDenoiser, Question
from sfumato.denoisers.guidance import ClassLabels
from sfumato.errors import ArgumentError
from sfumato.process.discrete import DiscreteSchedule
from sfumato.process.kernels import noised
from sfumato.process.noise import NoiseLevel, spread
from sfumato.process.process import AnyProcess, Process, as_process
from sfumato.training.loop import Rows, Training
from sfumato.training.loss import Weighting, hybrid_loss, loss, named_weighting
from sfumato.training.neighbourhoods import Neighbourhoods, neighbourhoods
from sfumato.training.stable_targets import as_keys, posterior_means
from sfumato.training.times import Importance, TimeDraw, named_time_draw
from sfumato.training.wider_noise import drawn_widths, is_wide

_NO_CLASSES = ClassLabels(0)

# Rows of more numbers are too far apart, and more rows have so many groups that few of a window's
# are in one.
_MOST_NUMBERS, _MOST_GROUPS = 8, 128


@dataclass(frozen=True, slots=True, eq=False)
class NoisedRows:
    """A batch of `Regression`.

    Args:
        x_0: clean rows, `(batch, *event)`.
        u: the draws of their times, `(batch,)`.
        level: noise levels, `(batch,)`.
        eps: noise, shaped like x_0.
        target: what is predicted in x_0's place, or None.
        condition: class numbers, `(batch,)`, or None.
    """

    x_0: Float[Tensor, "batch *event"]
    u: Float[Tensor, " batch"]
    level: NoiseLevel
    eps: Float[Tensor, "batch *event"]
    target: Float[Tensor, "batch *event"] | None
    condition: Tensor | None

    def __len__(self) -> int:
        """How many rows."""
        return len(self.x_0)

    @property
    def x_t(self) -> Tensor:
        """The rows noised, `(batch, *event)`."""
        return noised(self.x_0, self.level).draw(self.eps)

    @property
    def is_noisy(self) -> Tensor:
        """Which rows have something to predict, `(batch,)`: all."""
        return torch.ones(len(self.x_0), dtype=torch.bool)

    def __getitem__(self, some: slice | Tensor) -> "NoisedRows":
        """Some of the rows."""
        return NoisedRows(
            self.x_0[some],
            self.u[some],
            self.level[some],
            self.eps[some],
            None if self.target is None else self.target[some],
            None if self.condition is None else self.condition[some],
        )

    def to(self, device: torch.device) -> "NoisedRows":
        """The same rows on a device; times and levels stay on the CPU, in float64."""
        return NoisedRows(
            self.x_0.to(device),
            self.u,
            self.level,
            self.eps.to(device),
            None if self.target is None else self.target.to(device),
            self.condition,
        )


@dataclass(frozen=True, slots=True, eq=False)
class AskedRows:
    """A batch with all that its losses need and the weights have no say in.

    Args:
        rows: noised.
        question: what the network is asked of each.
        weight: of each in the loss, `(batch,)`.
    """

    rows: NoisedRows
    question: Question
    weight: Float[Tensor, " batch"]

    def __len__(self) -> int:
        """How many rows."""
        return len(self.rows)

    def __getitem__(self, some: slice | Tensor) -> "AskedRows":
        """Some of the rows."""
        return AskedRows(self.rows[some], self.question[some], self.weight[some])


@dataclass(frozen=True, slots=True, eq=False)
class Regression:
    """The objective of points and pictures. `regression` makes it from settings.

    Args:
        process: where noise levels come from.
        event: shape of a row.
        weight: of each noise level in the loss.
        times: draws of u.
        steps_of_variance: the discrete steps whose variance is learned, by `hybrid_loss`; None
            where it is not learned.
        reference: rows whose mean is the target, at least the batch; 0 for the row itself.
        near: the data in groups of about as many rows, whose means are the target; where it is
            None, they are those of a step.
        class_labels: the class numbers that the network takes.
        labels: class of each row of the data, `(n,)`, or None where no class is known.
        label_dropout: share of the labels that is hidden.
    """

    process: Process
    event: tuple[int, ...]
    weight: Weighting
    times: TimeDraw
    steps_of_variance: DiscreteSchedule | None = None
    reference: int = 0
    near: Neighbourhoods | None = None
    class_labels: ClassLabels = _NO_CLASSES
    labels: Tensor | None = None
    label_dropout: float = 0.0

    @property
    def min_rows(self) -> int:
        """The rows of the reference, where they are a step's."""
        return self.reference if self.near is None else 0

    @property
    def numbers_per_row(self) -> int:
        """Elements of a row."""
        return math.prod(self.event)

    @property
    def is_adaptive(self) -> bool:
        """Importance draws follow the losses of the steps before."""
        return isinstance(self.times, Importance)

    def draw(self, size: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Which rows are mirrored, whose class is hidden, u, r and eps: `(size, ...)` each."""
        none = torch.zeros(size, dtype=torch.bool)
        mirrored, hidden = none, none
        if self.class_labels.mirrored:
            mirrored = torch.rand(size, generator=generator) < 0.5
        if self.class_labels.classes:
            hidden = torch.rand(size, generator=generator) < self.label_dropout
        u = self.times(size, generator)
        eps = torch.randn(size, *self.event, generator=generator)
        return mirrored, hidden, u, self._widths(size, generator), eps

    def _widths(self, size: int, generator: torch.Generator) -> Tensor:
        """Each row's r where there is enough noise, see `training.wider_noise`: `(size,)`."""
        if not self.reference or self.steps_of_variance is not None:
            return torch.ones(size)
        return drawn_widths(size, math.prod(self.event), generator)

    def batch(
        self, data: Rows[Tensor], index: Tensor, own: slice, draws: tuple[Tensor, ...]
    ) -> NoisedRows:
        """The noised rows of several steps, one step after another; see `loop.Objective`."""
        mirrored, hidden, u, width, eps = draws
        level, chosen = self.process.at(u), index[:, own]
        x_0, target = data[chosen.flatten()], None
        if self.reference:
            of_rows = self._candidates(index, width * level.sigma_ve)
            width = torch.where(is_wide(level, of_rows, math.prod(self.event)), width, 1.0)
            eps = spread(width, eps) * eps
            target = self._means(data, index, chosen, noised(x_0, level).draw(eps), level, width)
        if self.class_labels.mirrored:
            is_mirrored = mirrored[(..., *[None] * len(self.event))]
            x_0 = torch.where(is_mirrored, x_0.flip(-1), x_0)
        condition = self._class_numbers(chosen.flatten(), mirrored, hidden)
        return NoisedRows(x_0, u, level, eps, target, condition)

    def _candidates(self, index: Tensor, noise: Tensor) -> Tensor | int:
        """Of how many rows a target is the mean."""
        return index.shape[1] if self.near is None else self.near.candidates(noise)

    def _means(
        self,
        data: Rows[Tensor],
        index: Tensor,
        chosen: Tensor,
        x_t: Tensor,
        level: NoiseLevel,
        width: Tensor,
    ) -> Tensor:
        """The targets of `training.stable_targets`, over near rows or those of a step's `index`."""
        if self.near is None:
            of_steps = data[index.flatten()].unflatten(0, index.shape)
            step = torch.arange(len(chosen)).repeat_interleave(chosen.shape[1])
            return posterior_means(x_t, level, step, as_keys(of_steps.flatten(2)).unbind())
        places = (x_t / spread(level.alpha, x_t)).flatten(1)
        group = self.near.groups(places, width * level.sigma_ve, chosen.flatten())
        return posterior_means(x_t, level, group, self.near.keys)

    def simplified(self, times: TimeDraw, weight: Weighting) -> "Regression":
        """The squared error of single rows at other times, weighed otherwise."""
        return replace(
            self, times=times, weight=weight, steps_of_variance=None, reference=0, near=None
        )

    def prepared(self, denoiser: NetworkDenoiser, rows: NoisedRows) -> AskedRows:
        """What the network is asked of noised rows, of as many steps as there are."""
        return AskedRows(
            rows,
            denoiser.question(rows.x_t, rows.level),
            self.weight(rows.level).to(rows.x_0),
        )

    def _class_numbers(self, index: Tensor, mirrored: Tensor, hidden: Tensor) -> Tensor | None:
        """The class number of each row at `index`, or None for a network that takes none."""
        if not self.class_labels.count:
            return None
        label = torch.full_like(index, self.class_labels.any)
        if self.labels is not None:
            label = torch.where(hidden, self.class_labels.any, self.labels[index])
        return self.class_labels.of(label, mirrored)

    def losses(self, denoiser: NetworkDenoiser, batch: AskedRows) -> Float[Tensor, " batch"]:
        """The loss of each row, `(batch,)`."""
        rows, prediction = batch.rows, denoiser.answered(batch.question, batch.rows.condition)
        if self.steps_of_variance is None:
            aim = rows.x_0 if rows.target is None else rows.target
            losses = loss(prediction, aim, batch.weight)
        else:
            losses = hybrid_loss(
                prediction,
                rows.x_t,
                rows.x_0,
                rows.level,
                batch.weight,
                self.steps_of_variance,
                rows.target,
            )
        if isinstance(self.times, Importance):
            losses = self.times.reweighted(rows.u, losses)
        return losses

    def tensors(self) -> dict[str, Tensor]:
        """The losses that importance draws remember."""
        if not isinstance(self.times, Importance):
            return {}
        return {"times.losses": self.times.losses, "times.count": self.times.count}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take up what `tensors` gave.

        Raises:
            KeyError: if a part is missing.
            RuntimeError: if one is of another shape.
        """
        for name, own in self.tensors().items():
            own.copy_(tensors[name])


def regression(
    denoiser: NetworkDenoiser,
    process: Process,
    settings: TrainingSettings,
    event: Sequence[int],
    *,
    rows: Tensor | None = None,
    weighting: Weighting | None = None,
    class_labels: ClassLabels = _NO_CLASSES,
    labels: Tensor | None = None,
) -> Regression:
    """The objective of points and pictures, as the settings say.

    Args:
        denoiser: to be trained.
        process: where noise levels come from.
        settings: the recipe.
        event: shape of a row.
        rows: all that it will be trained on, `(n, *event)`, where they are in memory.
        weighting: weight of each noise level in the loss; the settings' own where not given.
        class_labels: the class numbers that the network takes.
        labels: class of each row of the data, `(n,)`, where the network learns classes.

    Raises:
        ArgumentError: if a time draw or weighting is unknown, a variance is to be learned for a
            continuous process, targets are to be averaged over classes, a column is the target, or
            several processes draw by importance.
    """
    times = named_time_draw(settings.times, process)
    if weighting is None:
        weighting = named_weighting(settings.weighting, denoiser.parameterisation, process)
    steps_of_variance = None
    if denoiser.learns_variance:
        if not process.num_levels:
            raise ArgumentError(
                "a learned variance is that of discrete steps, and this process is continuous; set "
                "process.num_levels (1000, say) or do without learning the variance."
            )
        steps_of_variance = process.discrete(process.num_levels)
    if settings.reference and class_labels.count:
        raise ArgumentError(
            "training.reference averages over rows of all classes, mirrored or not; set it to "
            "0 with classes or training.flip."
        )
    if settings.target:
        raise ArgumentError(
            "training.target is a column of a table, and these data are none; leave it empty."
        )
    if settings.times == "importance" and distributed.count() > 1:
        raise ArgumentError(
            "training.times=importance remembers the losses of one process; take another."
        )
    near = None
    reference = max(settings.reference, settings.batch_size) if settings.reference else 0
    few_numbers = math.prod(event) <= _MOST_NUMBERS
    if rows is not None and few_numbers and 0 < len(rows) <= _MOST_GROUPS * reference:
        near = neighbourhoods(rows, reference)
    return Regression(
        process,
        tuple(event),
        weighting,
        times,
        steps_of_variance,
        settings.reference,
        near,
        class_labels,
        labels,
        settings.label_dropout,
    )


def regression_training(
    denoiser: NetworkDenoiser,
    process: AnyProcess,
    data: Tensor,
    settings: TrainingSettings,
    *,
    seed: int,
    weighting: Weighting | None = None,
) -> Training:
    """The training of a network of your own on rows of your own.

    Args:
        denoiser: holds the network; its weights are changed in place.
        process: where noise levels come from; a schedule of your own, or one of ours.
        data: rows that are near 0 with a deviation near 1, `(n, *event)`.
        settings: the recipe.
        seed: decides every draw.
        weighting: weight of each noise level in the loss; the settings' own where not given.

    Raises:
        ArgumentError: as `regression` and `Training`.
    """
    own = as_process(process)
    objective = regression(denoiser, own, settings, data.shape[1:], rows=data, weighting=weighting)
    return Training(denoiser, objective, data, settings, seed=seed)
