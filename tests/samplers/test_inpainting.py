"""Filling in against the conditional of a Gaussian, which is known."""

import pytest
import torch

from sfumato.denoisers.mixture import gaussian_mixture
from sfumato.errors import ArgumentError
from sfumato.process.grids import uniform_log_snr
from sfumato.process.schedules import Cosine
from sfumato.process.streams import generator, noise_from
from sfumato.samplers.dpm_solver import dpm_solver_2m, dpm_solver_2m_sde
from sfumato.samplers.driver import last_frame, trajectory
from sfumato.samplers.inpainting import Inpainting


def _filled(known_value: float, times: int, n: int = 2000) -> torch.Tensor:
    """Draws of the second of two correlated columns, the first being known."""
    covariance = torch.tensor([[1.0, 0.8], [0.8, 1.0]], dtype=torch.float64)
    exact = gaussian_mixture(torch.ones(1).double(), torch.zeros(1, 2).double(), covariance[None])
    x_0 = torch.tensor([[known_value, float("nan")]], dtype=torch.float64).expand(n, 2).nan_to_num()
    known = torch.tensor([[True, False]]).expand(n, 2)
    levels = uniform_log_snr(Cosine(), 40)
    noise = noise_from(generator(5))
    stepper = Inpainting(dpm_solver_2m_sde(), x_0, known, times)
    start = noise(x_0)
    return last_frame(trajectory(exact, start, levels, stepper, noise=noise)).x_t


def test_what_is_known_stays_exactly() -> None:
    assert set(_filled(1.5, 2, 50)[:, 0].tolist()) == {1.5}


def test_with_resampling_the_rest_is_drawn_from_the_conditional() -> None:
    # N(0.8 * 1.5, 1 - 0.8²) given the first column; near it after many passes, as the known part
    # is noised afresh each time. One pass alone is off by 0.43 in the mean.
    once, often = _filled(1.5, 1)[:, 1], _filled(1.5, 30)[:, 1]
    assert float(often.mean()) == pytest.approx(1.2, abs=0.05)
    assert float(often.std()) == pytest.approx(0.6, abs=0.07)
    # Without it the two columns are drawn past each other: what resampling is for.
    assert abs(float(often.mean()) - 1.2) < abs(float(once.mean()) - 1.2)


def test_nothing_known_is_plain_sampling_and_all_known_is_copying() -> None:
    exact = gaussian_mixture(
        torch.ones(1).double(), torch.zeros(1, 2).double(), torch.eye(2).double()[None]
    )
    levels, x_0 = uniform_log_snr(Cosine(), 10), torch.full((6, 2), 0.3, dtype=torch.float64)

    def ends(known: bool) -> torch.Tensor:
        mask = torch.full((6, 2), known)
        held = Inpainting(dpm_solver_2m(), x_0, mask, 1)
        start = noise_from(generator(1))(x_0)
        return last_frame(
            trajectory(exact, start, levels, held, noise=noise_from(generator(2)))
        ).x_t

    start = noise_from(generator(1))(x_0)
    plain = last_frame(
        trajectory(exact, start, levels, dpm_solver_2m(), noise=noise_from(generator(2)))
    )
    torch.testing.assert_close(ends(known=False), plain.x_t)
    torch.testing.assert_close(ends(known=True), x_0, rtol=0, atol=0)


def test_no_passes_are_refused() -> None:
    nothing = torch.zeros(1, 1)
    with pytest.raises(ArgumentError, match="at least 1"):
        Inpainting(dpm_solver_2m(), nothing, nothing.bool(), 0)
