"""The probability flow by an adaptive Runge–Kutta method, to a tolerance instead of a step count.

Dormand and Prince's pair of orders 5 and 4 (SciPy's `RK45`), as Song et al. (2021) use, on

    (1)  dy/dlog(sigma_ve) = y - x_0(alpha y, level),    y = x/alpha

from each level of the grid to the next; the size of the last accepted step begins the next
interval. The error is controlled over a whole chunk, which is computed whole whatever is asked
of it, so a sample does not depend on who else is drawn. The step to the clean level is x_0.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sfumato.denoisers.denoiser import Denoiser, Prediction
from sfumato.errors import ArgumentError
from sfumato.process.noise import NoiseLevel, spread
from sfumato.process.streams import Noise

Flat = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RungeKutta:
    """Adaptive Runge–Kutta on the probability flow: steps as long as a tolerance allows.

    Dormand and Prince's pair of orders 5 and 4 (SciPy's `RK45`), as Song et al. (2021) use it.

    Args:
        tol: largest error of a step, absolute and beside the size of y.

    Raises:
        ArgumentError: if tol is out of its range.
    """

    tol: float = 1e-4

    def __post_init__(self) -> None:
        if not 1e-12 <= self.tol < 1:
            raise ArgumentError(f"`tol` must lie between 1e-12 and 1; got {self.tol:g}.")

    def start(self) -> float | None:
        """No step was accepted yet."""
        return None

    def step(
        self,
        denoise: Denoiser,
        x_t: Tensor,
        t: NoiseLevel,
        s: NoiseLevel,
        state: float | None,
        noise: Noise,  # noqa: ARG002 - of the protocol
    ) -> tuple[Tensor, Prediction, float | None]:
        """Solve the probability flow (4-5) from t to s."""
        from scipy.integrate import RK45

        if float(t.alpha) == 0:
            raise ArgumentError(
                "runge-kutta divides by alpha, which is 0 at the first level (zero terminal SNR); "
                "use ddim or dpm++2m."
            )
        if float(s.sigma) == 0:
            prediction = denoise(x_t, t)
            return spread(s.alpha, x_t) * prediction.x_0, prediction, state
        predictions: list[Prediction] = []

        def slope(log_sigma: float, flat: Flat) -> Flat:
            y = torch.from_numpy(flat).reshape(x_t.shape).to(x_t)
            level = NoiseLevel.from_log_snr(torch.tensor(-2 * log_sigma, dtype=torch.float64))
            prediction = denoise(spread(level.alpha, y) * y, level)
            if not predictions:  # the first is asked at x_t itself
                predictions.append(prediction)
            return (y - prediction.x_0).flatten().cpu().double().numpy()

        begin, end = math.log(float(t.sigma_ve)), math.log(float(s.sigma_ve))
        y_t = (x_t / spread(t.alpha, x_t)).flatten().cpu().double().numpy()
        first = None if state is None else min(state, begin - end)
        solver = RK45(slope, begin, y_t, end, rtol=self.tol, atol=self.tol, first_step=first)
        while solver.status == "running":
            solver.step()
        if solver.status == "failed":
            raise ArgumentError(
                f"runge-kutta cannot reach a tolerance of {self.tol:g} here; raise "
                "sampling.options.tol."
            )
        y_s = torch.from_numpy(solver.y).reshape(x_t.shape).to(x_t)
        return spread(s.alpha, x_t) * y_s, predictions[0], solver.h_abs
