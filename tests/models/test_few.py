"""A few-step map against the flow of a Gaussian, which is known in closed form.

Of data N(m, s²) the flow keeps (x_t - alpha_t m)/sqrt(alpha_t² s² + sigma_t²) along its path, so
that the path through x_t ends at

    f(x_t, t) = m + s (x_t - alpha_t m)/sqrt(alpha_t² s² + sigma_t²)
"""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from sfumato.config import TrainingSettings
from sfumato.denoisers.denoiser import Denoiser, NetworkDenoiser, Prediction
from sfumato.errors import ArgumentError
from sfumato.models.few import (
    CALLS,
    FewSteps,
    as_map,
    calls_of,
    ends_of_flow,
    map_of,
    times_of,
)
from sfumato.models.registry import process_of, usual_schedules
from sfumato.networks.branches import branched
from sfumato.networks.mlp import VectorMLP
from sfumato.process import parameterisations
from sfumato.process.kernels import noised
from sfumato.process.noise import NoiseLevel
from sfumato.process.process import Process, as_process
from sfumato.process.schedules import Cosine
from sfumato.process.streams import generator
from sfumato.samplers.driver import sample_chunks, trajectory
from sfumato.samplers.renoising import Renoising
from sfumato.samplers.unipc import UniPC
from sfumato.training.flow_ends import BranchedFlowEnds, FlowEnds, noised_among, with_ends
from sfumato.training.loop import Training, train
from sfumato.training.loss import simple
from sfumato.training.regression import NoisedRows, regression

MEAN = torch.tensor([0.5, -1.0], dtype=torch.float64)
STD = torch.tensor([0.4, 1.5], dtype=torch.float64)
PROCESS: Process = as_process(Cosine())


def _spread(level: NoiseLevel, x: Tensor) -> tuple[Tensor, Tensor]:
    own = level.like(x)
    return own.alpha, (own.alpha**2 * STD**2 + own.sigma**2).sqrt()


def end(x_t: Tensor, level: NoiseLevel) -> Tensor:
    """The closed form."""
    alpha, spread = _spread(level, x_t)
    return MEAN + STD * (x_t - alpha * MEAN) / spread


def exact(x_t: Tensor, level: NoiseLevel, condition: object = None) -> Prediction:
    """E[x_0 | x_t] of the Gaussian."""
    alpha, spread = _spread(level, x_t)
    return Prediction(MEAN + alpha * STD**2 * (x_t - alpha * MEAN) / spread**2)


def exact_map(x_t: Tensor, level: NoiseLevel, condition: object = None) -> Prediction:
    """The closed form as the denoiser of a map."""
    return Prediction(end(x_t, level))


def rows(n: int = 4000) -> Tensor:
    return MEAN + STD * torch.randn(n, 2, generator=generator(1), dtype=torch.float64)


def test_the_flow_ends_where_the_closed_form_says() -> None:
    grid = PROCESS.grid("uniform-log-snr", 80)
    for time in (1.0, 0.7, 0.3):
        level = PROCESS.at(torch.tensor(time, dtype=torch.float64))
        x_t = noised(rows(500), level).draw(torch.randn(500, 2, generator=generator(2)).double())
        found = ends_of_flow(exact, x_t, level, grid)
        np.testing.assert_allclose(found.numpy(), end(x_t, level).numpy(), atol=1e-3)


@pytest.mark.parametrize("schedule", usual_schedules())
def test_the_way_to_the_end_has_no_step_of_no_length(schedule: str) -> None:
    """The first level of a grid, which the noisiest is but for rounding, is not walked twice."""
    process, calls = process_of(schedule), []

    def counted(x_t: Tensor, level: NoiseLevel) -> Prediction:
        calls.append(float(level.log_snr))
        return exact(x_t, level)

    grid = process.grid("uniform-log-snr", 20)
    ends_of_flow(counted, torch.ones(1, 2).double(), process.at(torch.tensor(1.0).double()), grid)
    assert len(calls) == 20
    assert min(np.diff(calls)) > 1e-3


def test_the_end_is_the_same_all_along_a_path() -> None:
    grid = PROCESS.grid("uniform-log-snr", 64)
    x = torch.randn(50, 2, generator=generator(3), dtype=torch.float64)
    frames = list(trajectory(exact, x, grid, UniPC(), noise=torch.zeros_like))
    for frame in frames[10:60:10]:
        found = ends_of_flow(exact, frame.x_t, frame.level, grid)
        np.testing.assert_allclose(found.numpy(), frames[-1].x_t.numpy(), atol=2e-3)


@pytest.mark.parametrize("calls", CALLS)
def test_an_exact_map_draws_the_gaussian_in_any_number_of_calls(calls: int) -> None:
    levels = FewSteps(torch.nn.Identity(), {calls: times_of(PROCESS, calls)}).levels(PROCESS, calls)
    assert len(levels) == calls + 1
    drawn = sample_chunks(exact_map, (2,), levels, Renoising(), n=6000, seed=5)
    sample = torch.cat(list(drawn)).numpy()
    # The noisiest level holds a little signal, which N(0, I) does not: 0.006 at most in the mean.
    for k in range(2):
        z = (sample[:, k] - MEAN[k].item()) / STD[k].item()
        assert stats.kstest(z, "norm").pvalue > 1e-3


def test_a_denoiser_in_the_maps_place_is_told_from_it() -> None:
    """Two calls of E[x_0 | x_t] are too narrow: what is measured above can fail."""
    levels = FewSteps(torch.nn.Identity(), {2: times_of(PROCESS, 2)}).levels(PROCESS, 2)
    drawn = sample_chunks(exact, (2,), levels, Renoising(), n=6000, seed=5)
    sample = torch.cat(list(drawn)).numpy()
    assert (sample.std(0) < 0.9 * STD.numpy()).any()


def test_a_map_is_learned_by_regression_on_the_ends() -> None:
    torch.manual_seed(0)
    network = VectorMLP(2, 32, 2)
    student = as_map(NetworkDenoiser(network, parameterisations.edm), network)
    settings = TrainingSettings(
        steps=500, batch_size=256, reference=0, learning_rate=1e-2, average=0.98
    )
    objective = regression(student, PROCESS, settings, (2,)).simplified(
        lambda n, _: torch.zeros(n), simple(student.parameterisation)
    )
    data, times = rows().float(), times_of(PROCESS, 4)
    batch, which = noised_among(objective, data, times, 4000, generator(4))
    assert which.bincount().tolist() == [1600, 800, 800, 800]
    ends = torch.empty_like(batch.x_t)
    for k, time in enumerate(times):
        level = PROCESS.at(torch.tensor(time, dtype=torch.float64))
        ends[which == k] = end(batch.x_t[which == k].double(), level).float()
    training = Training(student, FlowEnds(objective), with_ends(batch, ends), settings, seed=0)
    for _ in train(training):
        pass
    learned = student.with_network(training.drawing_network(last=False))
    for time in times:
        level = PROCESS.at(torch.tensor(time, dtype=torch.float64))
        fresh = MEAN + STD * torch.randn(1000, 2, generator=generator(6), dtype=torch.float64)
        x_t = noised(fresh, level).draw(torch.randn(1000, 2, generator=generator(7)).double())
        with torch.no_grad():
            off = learned(x_t, level).x_0 - end(x_t, level)
        # The scatter of x_0 about its mean is up to 0.4 and 1.5: a denoiser could not come near.
        assert off.square().mean().sqrt() < 0.05, time


@pytest.mark.parametrize("event", [(2,), (3, 8, 8)])
def test_rows_of_later_calls_are_noised_wider(event: tuple[int, ...]) -> None:
    """By up to two deviations of the norm of their noise, which are sqrt(2) in any dimension."""
    settings = TrainingSettings(reference=0)
    student = NetworkDenoiser(torch.nn.Identity(), parameterisations.edm)
    objective = regression(student, PROCESS, settings, event)
    data, times = torch.zeros(10, *event), times_of(PROCESS, 2)
    batch, which = noised_among(objective, data, times, 9000, generator(13))
    assert which.bincount().tolist() == [6000, 3000]
    norm, d = batch.eps.flatten(1).norm(dim=1).double(), math.prod(event)
    squares = [float(norm[which == k].square().mean()) / d for k in range(2)]
    most = 1 + math.sqrt(2 / d)
    assert squares[0] == pytest.approx(1, rel=0.05)
    assert squares[1] == pytest.approx((1 + most + most**2) / 3, rel=0.05)
    # In many dimensions the norm is within a few of its deviations, and so it stays.
    if d > 100:
        assert norm[which == 1].max() < math.sqrt(d) + math.sqrt(2) + 5 * most / math.sqrt(2)


def test_the_loss_of_candidates_is_a_mixture_of_students_t() -> None:
    """Eq. (3) of `training.flow_ends` by SciPy's density, over that at its centre."""
    network = branched(VectorMLP(2, 8, 1), 3, generator(8))
    with torch.no_grad():
        network.network.output_proj.bias[-3:] = torch.tensor([0.5, -1.0, 0.0])
    student = NetworkDenoiser(network, parameterisations.v)
    settings = TrainingSettings(reference=0)
    objective = regression(student, PROCESS, settings, (2,)).simplified(
        lambda n, _: torch.full((n,), 0.6), simple(student.parameterisation)
    )
    batch = objective.batch(
        rows(5).float(), torch.arange(5)[None], slice(0, 5), objective.draw(5, generator(9))
    )
    batch = with_ends(batch, rows(5).flip(0).float())
    assert batch.target is not None
    with torch.no_grad():
        ends = BranchedFlowEnds(objective)
        found = ends.losses(student, objective.prepared(student, batch))
        scalings = student.parameterisation(batch.level)
        c_in, c_skip, c_out = (
            each[:, None].float() for each in (scalings.c_in, scalings.c_skip, scalings.c_out)
        )
        answers, logits = network.candidates(c_in * batch.x_t, batch.level.log_snr.float())
    # The answer that would be exact, and how likely it is.
    exact = ((batch.target - c_skip * batch.x_t) / c_out).double().numpy()
    shares = logits.double().softmax(1).numpy()
    for row in range(5):
        # A mean of squares over the coordinates, times their number: their sum.
        t = [
            stats.multivariate_t(each, 0.1**2 * np.eye(2), df=4)
            for each in answers[row].double().numpy()
        ]
        likely = sum(
            share * each.pdf(exact[row]) / each.pdf(each.loc)
            for share, each in zip(shares[row], t, strict=True)
        )
        assert float(found[row]) == pytest.approx(-math.log(likely), rel=1e-4)


def test_candidates_learn_ends_that_break() -> None:
    """Ends of -1 and 1, by the sign of the noise: nothing lies between."""
    level = PROCESS.at(torch.ones(2000, dtype=torch.float64))
    noise = torch.randn(2000, 1, generator=generator(10))
    between = {}
    settings = TrainingSettings(
        steps=300, batch_size=256, reference=0, learning_rate=1e-2, average=0.98
    )
    for name in ("one answer", "candidates"):
        torch.manual_seed(0)
        network: torch.nn.Module = VectorMLP(1, 32, 2)
        objective: type[FlowEnds] = FlowEnds
        if name == "candidates":
            assert isinstance(network, VectorMLP)
            network, objective = branched(network, 4, generator(11)), BranchedFlowEnds
        student = as_map(NetworkDenoiser(network, parameterisations.edm), network)
        fitted = regression(student, PROCESS, settings, (1,)).simplified(
            lambda n, _: torch.ones(n), simple(student.parameterisation)
        )
        batch = NoisedRows(0 * noise, torch.ones(2000), level, noise, noise.sign(), None)
        training = Training(student, objective(fitted), batch, settings, seed=0)
        for _ in train(training):
            pass
        learned = student.with_network(training.drawing_network(last=False))
        x = torch.randn(4000, 1, generator=generator(12), dtype=torch.float64)
        with torch.no_grad():
            end = learned(x, PROCESS.at(torch.tensor(1.0, dtype=torch.float64))).x_0
        between[name] = float((end.abs() < 0.8).double().mean())
        assert float((end.sign() == x.sign()).double().mean()) > 0.98
    assert between["candidates"] == 0
    assert between["one answer"] > 0.005


def test_from_pure_noise_eps_gives_way_to_v() -> None:
    network = VectorMLP(2, 8, 1)
    told = NetworkDenoiser(network, parameterisations.eps)
    assert as_map(told, network).parameterisation is parameterisations.v
    for other in (parameterisations.edm, parameterisations.x_0, parameterisations.velocity):
        assert as_map(NetworkDenoiser(network, other), network).parameterisation is other


def test_calls_lie_within_the_process() -> None:
    times = times_of(PROCESS, 4)
    assert times[0] == 1
    assert list(times) == sorted(times, reverse=True)
    levels = PROCESS.at(torch.tensor(times[1:], dtype=torch.float64))
    np.testing.assert_allclose(levels.sigma_ve.numpy(), CALLS[4], rtol=1e-6)
    # A process that ends before sigma/alpha = 0.5 has no such call.
    part = PROCESS.until(float(PROCESS.time(torch.tensor(-2 * math.log(0.3)).double())))
    assert _ratios(part, times_of(part, 2)) == pytest.approx([0.3, 0.25], rel=1e-4)
    assert calls_of(part) == (1, 2)
    with pytest.raises(ArgumentError, match="this process has no such levels"):
        times_of(part, 4)


def _ratios(process: Process, times: tuple[float, ...]) -> list[float]:
    levels = process.at(torch.tensor(times, dtype=torch.float64))
    found: list[float] = levels.sigma_ve.tolist()
    return found


def test_what_was_not_learned_is_refused() -> None:
    with pytest.raises(ArgumentError, match="of 1, 2, 4 network calls; got 3"):
        times_of(PROCESS, 3)
    few = FewSteps(torch.nn.Identity(), {1: (1.0,)})
    with pytest.raises(ArgumentError, match="learned for 1 network calls; got 2"):
        few.levels(PROCESS, 2)
    with pytest.raises(ArgumentError, match="no few-step map yet"):
        map_of(None)


def test_renoising_draws_nothing_on_the_way_to_the_clean_level() -> None:
    def refused(x: Tensor) -> Tensor:
        raise AssertionError(x)

    level, x = PROCESS.noisiest, torch.zeros(3, 2, dtype=torch.float64)
    denoise: Denoiser = exact_map
    x_s, _, _ = Renoising().step(denoise, x, level, NoiseLevel.clean(), None, refused)
    np.testing.assert_array_equal(x_s.numpy(), end(x, level).numpy())
