"""A few-step map: one call of its network takes a noisy sample to where the probability flow ends.

    (1)  f(x_t, t) is the clean end of the flow through x_t, the same all along a path

It is a denoiser of another network, whose x_0 is no mean but that end. It is learned at a few noise
levels alone (`training.flow_ends`), and drawn with by `samplers.renoising`: with one call from pure
noise, with more from ever less noise.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from sfumato.errors import ArgumentError
from sfumato.process import parameterisations
from sfumato.process.noise import NoiseLevel, then_clean
from sfumato.process.process import Process
from sfumato.samplers.driver import Stepper, last_frame, trajectory
from sfumato.samplers.unipc import UniPC

D = TypeVar("D", bound=Any)

# sigma/alpha of the calls after the first, for data of unit variance: enough noise to cover what
# a jump puts beside the data, and so little that the next jump is short and well learned.
CALLS: Mapping[int, tuple[float, ...]] = {1: (), 2: (0.25,), 4: (0.5, 0.25, 0.12)}

# All levels that a map may be called at: pure noise, and those of the calls after it.
MOST_LEVELS = 1 + len({ratio for ratios in CALLS.values() for ratio in ratios})


@dataclass(frozen=True, slots=True, eq=False)
class FewSteps:
    """What a model keeps of its map.

    Args:
        network: takes what the model's own network takes.
        times: for each number of calls, where in the process they are made, noisiest first.
    """

    network: nn.Module
    times: Mapping[int, tuple[float, ...]]

    def levels(self, process: Process, calls: int) -> NoiseLevel:
        """The levels of so many calls, the clean one last: `(calls + 1,)`.

        Raises:
            ArgumentError: if the map was not learned for so many.
        """
        if calls not in self.times:
            known = ", ".join(map(str, sorted(self.times)))
            raise ArgumentError(
                f"the few-step map of this run was learned for {known} network calls; got {calls}."
            )
        return then_clean(process.at(torch.tensor(self.times[calls], dtype=torch.float64)))


def times_of(process: Process, calls: int) -> tuple[float, ...]:
    """Where in a process so many calls are made, noisiest first.

    Raises:
        ArgumentError: if there is no such number of calls, or the process has not so many levels
            that differ, from its noisiest to its least noisy.
    """
    if calls not in CALLS:
        known = ", ".join(map(str, CALLS))
        raise ArgumentError(f"a few-step map is of {known} network calls; got {calls}.")
    log_snr = torch.tensor([-2 * math.log(ratio) for ratio in CALLS[calls]], dtype=torch.float64)
    times = torch.cat([torch.ones(1, dtype=torch.float64), process.time(log_snr)])
    levels = process.at(times)
    if not (times.min() >= 0 and times.max() <= 1 and (levels.log_snr.diff() > 0).all()):
        raise ArgumentError(
            f"{calls} calls are made at pure noise and at sigma/alpha "
            f"{', '.join(map(str, CALLS[calls]))}, and this process has no such levels; take fewer."
        )
    return tuple(times.tolist())


def calls_of(process: Process) -> tuple[int, ...]:
    """The numbers of calls that a process has levels for."""

    def has(calls: int) -> bool:
        try:
            times_of(process, calls)
        except ArgumentError:
            return False
        return True

    return tuple(filter(has, CALLS))


def map_of(few: FewSteps | None) -> FewSteps:
    """The map of a model.

    Raises:
        ArgumentError: if it has none.
    """
    if few is None:
        raise ArgumentError(
            "this run has no few-step map yet; learn one with `sfumato distill RUN`, or leave few "
            "(--calls) out."
        )
    return few


def refuse_few(named: Mapping[str, Any], own: Stepper[Any] | None, *, from_noise: bool) -> None:
    """Refuse a map that is asked for where it cannot draw.

    Args:
        named: changes to the sampling settings.
        own: a sampler of the user's own, if one is given.
        from_noise: whether samples are drawn from noise alone.

    Raises:
        ArgumentError: saying why.
    """
    if not named.get("few"):
        return
    if own is not None:
        raise ArgumentError("a few-step map is its own sampler; leave sampler out, or few.")
    if not from_noise:
        raise ArgumentError(
            "a few-step map draws from noise alone, and not from given values or rows; leave few "
            "(--calls) out here."
        )


def as_map(denoiser: D, network: nn.Module) -> D:
    """The denoiser of a map: as a model's own, but of another network.

    From pure noise eps says nothing of the clean end; v, which is like it where there is little
    noise, takes its place.
    """
    own: D = denoiser.with_network(network)
    if own.parameterisation is parameterisations.eps:
        own = replace(own, parameterisation=parameterisations.v)
    return own


def ends_of_flow(denoise: Any, x_t: Tensor, level: NoiseLevel, grid: NoiseLevel) -> Tensor:
    """Eq. (1) of a fitted denoiser: the flow integrated by UniPC along the rest of a grid.

    Args:
        denoise: the denoiser.
        x_t: at one level, `(batch, *event)` float64.
        level: that level, `()`.
        grid: noise falling to the clean level, of which the levels below are walked.
    """
    # But for rounding: a step of no length would divide by it.
    below = grid[(grid.sigma_ve < (1 - 1e-9) * level.sigma_ve).nonzero().flatten()]
    levels = NoiseLevel(
        torch.cat([level.alpha[None], below.alpha]), torch.cat([level.sigma[None], below.sigma])
    )
    return last_frame(trajectory(denoise, x_t, levels, UniPC(), noise=torch.zeros_like)).x_t
