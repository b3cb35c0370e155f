"""The one currency above the networks: the expected clean sample given a noisy one.

Samplers, losses and likelihoods call `denoise(x_t, level)` and get E[x_0 | x_t]; what the
network was trained to predict stays behind this door.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sfumato.errors import ArgumentError
from sfumato.process.discrete import DiscreteSchedule
from sfumato.process.noise import NoiseLevel, spread
from sfumato.process.parameterisations import Parameterisation
from sfumato.process.streams import Chunk


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What is known of the clean sample.

    Args:
        x_0: E[x_0 | x_t], shaped like x_t.
        var_fraction: where a learned reverse variance lies between beta_tilde (0) and beta (1) in
            the logarithm, shaped like x_t; None where the variance is not learned.
        unclipped: x_0 before it was clipped; None where it was not.
    """

    x_0: Float[Tensor, "batch *event"]
    var_fraction: Float[Tensor, "batch *event"] | None = None
    unclipped: Float[Tensor, "batch *event"] | None = None


@runtime_checkable
class Denoiser(Protocol):
    """Anything that estimates the clean sample."""

    def __call__(self, x_t: Float[Tensor, "batch *event"], level: NoiseLevel) -> Prediction:
        """Estimate x_0 of `x_t` `(batch, *event)` at one level `()` or one each `(batch,)`."""
        ...


C = TypeVar("C")
_C_contra = TypeVar("_C_contra", contravariant=True)


@runtime_checkable
class ConditionalDenoiser(Protocol[_C_contra]):
    """Anything that estimates the clean sample given a condition, such as a class."""

    def __call__(
        self, x_t: Float[Tensor, "batch *event"], level: NoiseLevel, condition: _C_contra
    ) -> Prediction:
        """Estimate x_0 as a `Denoiser` does, given the condition."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Conditioned(Generic[C]):
    """A denoiser that has the same condition at every call.

    Args:
        denoise: takes a condition.
        condition: what it takes.
    """

    denoise: ConditionalDenoiser[C]
    condition: C

    def __call__(self, x_t: Float[Tensor, "batch *event"], level: NoiseLevel) -> Prediction:
        """The prediction under the condition."""
        return self.denoise(x_t, level, self.condition)


@dataclass(frozen=True, slots=True, eq=False)
class PerChunk:
    """Denoisers that differ from chunk to chunk, as when each sample has a class of its own.

    Args:
        of: the denoiser of a chunk.
    """

    of: Callable[[Chunk], Denoiser]


# Beyond any schedule here: e^-15 of signal beside the noise, or of noise beside the signal.
FARTHEST = 30.0

Conditioning = Callable[[NoiseLevel], Tensor]
"""The number that tells a network how noisy its input is."""


def log_snr(level: NoiseLevel) -> Tensor:
    """The default conditioning: log(alpha²/sigma²), finite where no signal or no noise is left."""
    return level.log_snr.clamp(-FARTHEST, FARTHEST)


def knows_all_levels(conditioning: Conditioning) -> bool:
    """Whether a network that takes this number can be asked at any schedule's levels."""
    return conditioning is log_snr


def flow_time(level: NoiseLevel) -> Tensor:
    """Conditioning of flows: 1 + 1000 t with x_t = (1 - t) x_0 + t eps; steps count from 1."""
    return 1 + 1000 * level.sigma / (level.alpha + level.sigma)


def edm_noise(level: NoiseLevel) -> Tensor:
    """Conditioning of EDM: 1 + log(sigma)/4, Karras et al. (2022), table 1; steps count from 1."""
    return 1 - log_snr(level) / 8


def step_of(schedule: DiscreteSchedule) -> Conditioning:
    """Conditioning for networks with an embedding of the step: the level's index."""
    return schedule.index


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What a network is given, and how its answer F is read: x_0 = c_skip x_t + c_out F.

    Nothing of it depends on the weights, so that it can be formed of many steps' rows at once.

    Args:
        scaled: c_in x_t, `(batch, *event)`, in the network's precision.
        number: how noisy it is, `()` or `(batch,)`.
        skipped: c_skip x_t, `(batch, *event)`.
        c_out: shaped to multiply the answer.
    """

    scaled: Float[Tensor, "batch *event"]
    number: Tensor
    skipped: Float[Tensor, "batch *event"]
    c_out: Tensor

    def __getitem__(self, some: slice | Tensor) -> "Question":
        """Some of the samples, where each has a number of its own."""
        return Question(self.scaled[some], self.number[some], self.skipped[some], self.c_out[some])


@dataclass(frozen=True, slots=True, eq=False)
class NetworkDenoiser:
    """A network, what it predicts, and the number that tells it the noise.

    Args:
        network: `(x, number) -> same shape as x`; x `(batch, *event)`, number `()` or `(batch,)`.
            Twice the channels (dimension 1) where the variance is learned. A network of classes
            takes a third argument, the class number of each sample `(batch,)`. It is put in
            evaluation mode: a prediction leaves no unit out at random; only a step of `Training`
            does.
        parameterisation: turns the answer into x_0 (see `process.parameterisations`).
        conditioning: the number that the network takes; log-SNR unless said otherwise.
        learns_variance: the second half of the channels, from -1 to 1 by habit, says where the
            reverse variance lies between beta_tilde and beta: Nichol & Dhariwal (2021), eq. 15.
    """

    network: nn.Module
    parameterisation: Parameterisation
    conditioning: Conditioning = log_snr
    learns_variance: bool = False

    def __post_init__(self) -> None:
        self.network.eval()

    def with_network(self, network: nn.Module) -> "NetworkDenoiser":
        """The same denoiser of another network."""
        return replace(self, network=network)

    def __call__(
        self,
        x_t: Float[Tensor, "batch *event"],
        level: NoiseLevel,
        condition: Tensor | None = None,
    ) -> Prediction:
        """Run the network in its own precision; combine in x_t's.

        Args:
            x_t: noisy samples, `(batch, *event)`.
            level: one for all `()` or one each `(batch,)`.
            condition: class numbers, one for all `()` or one each `(batch,)`, of a network of
                classes.

        Raises:
            ArgumentError: if the network's answer is not of the shape it must be.
        """
        return self.answered(self.question(x_t, level), condition)

    def question(self, x_t: Float[Tensor, "batch *event"], level: NoiseLevel) -> Question:
        """What the network is asked of x_t `(batch, *event)` at one level or one each."""
        scalings = self.parameterisation(level)
        weight = next(self.network.parameters(), x_t)
        number = self.conditioning(level).to(weight.device)
        if number.is_floating_point():
            number = number.to(weight.dtype)
        scaled = (spread(scalings.c_in, x_t) * x_t).to(weight.device, weight.dtype)
        skipped = spread(scalings.c_skip, x_t) * x_t
        return Question(scaled, number, skipped, spread(scalings.c_out, x_t))

    def answered(self, question: Question, condition: Tensor | None = None) -> Prediction:
        """What the network's answer to a question says of x_0; see `__call__`."""
        scaled, x = question.scaled, question.skipped
        classes = () if condition is None else (condition.to(scaled.device).expand(x.shape[:1]),)
        answer = self.network(scaled, question.number, *classes).to(x)
        shape, var_fraction = x.shape, None
        if self.learns_variance:
            shape = torch.Size((len(x), 2 * x.shape[1], *x.shape[2:]))
        if answer.shape != shape:
            raise ArgumentError(
                f"the network must answer {tuple(x.shape)} with {tuple(shape)}; "
                f"got {tuple(answer.shape)}. Mend its last layer, or `learns_variance` "
                f"({self.learns_variance}), which doubles the channels."
            )
        if self.learns_variance:
            answer, interpolation = answer.chunk(2, dim=1)
            var_fraction = (interpolation + 1) / 2
        return Prediction(x + question.c_out * answer, var_fraction)
