"""A schedule of your own: times in [0, 1] to noise levels, and the way back."""

from torch import Tensor

import sfumato


class MySchedule:
    """The log-SNR falls evenly from 10 to -8; alpha² + sigma² = 1."""

    def __call__(self, t: Tensor) -> sfumato.NoiseLevel:
        """The noise level at each time."""
        return sfumato.NoiseLevel.from_log_snr(10 - 18 * t)

    def time(self, log_snr: Tensor) -> Tensor:
        """The time of each log-SNR."""
        return (10 - log_snr) / 18


run = sfumato.fit("moons", process=MySchedule(), out="runs/own-schedule")
again = sfumato.open("runs/own-schedule", process=MySchedule())
print(again.sample(5))
