"""The levels that a sampler visits: noisiest first, the clean one last.

Continuous schedules are divided in time or in noise; tables are strided by index. Each grid
of K steps has K + 1 levels. The strides of a table follow Lin et al. (2024), table 2: only
`trailing` and `linspace` begin at the last level, where pure noise belongs.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from sfumato.errors import ArgumentError
from sfumato.process.noise import NoiseLevel, then_clean
from sfumato.process.schedules import Schedule
from sfumato.process.tables import Table


def _steps(num_steps: int, most: int | None = None) -> int:
    limit = f"between 1 and {most}" if most else "at least 1"
    if num_steps < 1 or (most is not None and num_steps > most):
        raise ArgumentError(f"`num_steps` must be {limit}; got {num_steps}.")
    return num_steps


def _ends(schedule: Schedule) -> tuple[Tensor, Tensor]:
    """Log-SNR of the noisiest and of the least noisy level."""
    log_snr = schedule(torch.tensor([1.0, 0.0], dtype=torch.float64)).log_snr
    return log_snr[0], log_snr[1]


def uniform_time(schedule: Schedule, num_steps: int) -> NoiseLevel:
    """T = 1, 1 - 1/K, ..., 1/K, then clean."""
    t = torch.arange(_steps(num_steps), 0, -1, dtype=torch.float64) / num_steps
    return then_clean(schedule(t))


def uniform_log_snr(schedule: Schedule, num_steps: int) -> NoiseLevel:
    """K levels evenly spaced in log-SNR over the schedule's whole range, then clean."""
    noisiest, cleanest = _ends(schedule)
    part = torch.linspace(0, 1, _steps(num_steps), dtype=torch.float64)
    return then_clean(schedule(schedule.time(torch.lerp(noisiest, cleanest, part))))


def karras(schedule: Schedule, num_steps: int, rho: float = 7.0) -> NoiseLevel:
    """K levels evenly spaced in (sigma/alpha)^(1/rho), then clean: Karras et al. (2022), eq. 5."""
    noisiest, cleanest = (torch.exp(-end / (2 * rho)) for end in _ends(schedule))
    part = torch.linspace(0, 1, _steps(num_steps), dtype=torch.float64)
    log_snr = -2 * rho * torch.lerp(noisiest, cleanest, part).log()
    return then_clean(schedule(schedule.time(log_snr)))


def _visit(table: Table, index: Tensor) -> NoiseLevel:
    return then_clean(table.levels[index.long()])


def leading(table: Table, num_steps: int) -> NoiseLevel:
    """Levels 1, 1 + r, 1 + 2r, ... with r = floor(T/K), reversed: DDIM's own stride.

    It does not begin at the last level (K = 10 of T = 1000 begins at 901), which is a fault
    of the start unless alpha_bar is small there too.
    """
    stride = table.num_levels // _steps(num_steps, table.num_levels)
    return _visit(table, 1 + stride * torch.arange(num_steps - 1, -1, -1))


def trailing(table: Table, num_steps: int) -> NoiseLevel:
    """Levels T, T - T/K, T - 2T/K, ... rounded: begins at the last level."""
    part = torch.arange(_steps(num_steps, table.num_levels), 0, -1, dtype=torch.float64)
    return _visit(table, (part * table.num_levels / num_steps).round())


def linspace(table: Table, num_steps: int) -> NoiseLevel:
    """K levels evenly from T to 1, both included."""
    if _steps(num_steps, table.num_levels) == 1:
        return trailing(table, 1)
    return _visit(
        table, torch.linspace(table.num_levels, 1, num_steps, dtype=torch.float64).round()
    )


SCHEDULE_GRIDS: Mapping[str, Callable[[Schedule, int], NoiseLevel]] = {
    "uniform-time": uniform_time,
    "uniform-log-snr": uniform_log_snr,
    "karras": karras,
}
TABLE_GRIDS: Mapping[str, Callable[[Table, int], NoiseLevel]] = {
    "leading": leading,
    "trailing": trailing,
    "linspace": linspace,
}
