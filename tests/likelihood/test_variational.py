"""The bound term by term, by quadrature: published totals, Ho et al.'s eq. 8, entropies."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm
from torch import Tensor

from sfumato.denoisers.denoiser import Prediction
from sfumato.denoisers.mixture import gaussian_mixture
from sfumato.errors import ArgumentError, DataError
from sfumato.likelihood.variational import BoundTerms, mean_and_error, variational_bound
from sfumato.process import discrete
from sfumato.process.noise import NoiseLevel
from sfumato.process.streams import generator, noise_from
from truth import ExactGaussian

# All four pairs of signs: the mean over them is the expectation of any quadratic in (x_0, eps),
# which every term is when the denoiser is affine.
SIGNS = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], dtype=torch.float64)


def expected(denoise: ExactGaussian, table: discrete.DiscreteSchedule, variance: str) -> BoundTerms:
    """Terms at the four points; their means are exact expectations."""
    x_0 = denoise.mean + denoise.std * SIGNS[:, :1]
    return variational_bound(denoise, x_0, table, noise=lambda _: SIGNS[:, 1:], variance=variance)


class OptimalVariance:
    """The exact Gaussian's denoiser that also tells the exact variance of p(x_{i-1} | x_i)."""

    def __init__(self, exact: ExactGaussian, table: discrete.DiscreteSchedule) -> None:
        self.exact, self.table = exact, table

    def __call__(self, x_t: Tensor, level: NoiseLevel) -> Prediction:
        i = int(self.table.index(level))
        total = self.exact.std**2 * self.table.alpha_bar + 1 - self.table.alpha_bar
        best = float(self.table.beta[i - 1] * total[i - 1] / total[i])
        low = max(float(self.table.beta_tilde[i - 1]), 1e-300)
        fraction = math.log(best / low) / math.log(float(self.table.beta[i - 1]) / low)
        return Prediction(self.exact(x_t, level).x_0, torch.full_like(x_t, fraction))


@pytest.mark.parametrize(
    ("table", "variance", "nats"),
    # CHECKS, closed forms for N(0, 1); with beta it is the entropy.
    [
        (discrete.linear(), "beta", 1.418939),
        (discrete.sigmoid(), "beta", 1.418939),
        (discrete.cosine(50), "beta", 1.418939),
        (discrete.linear(1, reference_levels=1), "beta", 1.418939),
        (discrete.sigmoid(), "beta_tilde", 2.037193),
    ],
)
def test_published_bounds_of_standard_normal_data(
    table: discrete.DiscreteSchedule, variance: str, nats: float
) -> None:
    terms = expected(ExactGaussian(0.0, 1.0), table, variance)
    assert float(terms.nats.mean()) == pytest.approx(nats, abs=5.1e-7)


def test_published_bound_and_end_of_the_linear_table() -> None:
    # CHECKS: 1.997533 nats with beta_tilde, and L_T in bits per dimension at x_0² = 1.
    terms = expected(ExactGaussian(0.0, 1.0), discrete.linear(), "beta_tilde")
    assert float(terms.nats.mean()) == pytest.approx(1.997533, abs=5.1e-7)
    bits = terms.L_T / math.log(2)
    assert bits.tolist() == pytest.approx([2.91129454e-5] * 4, rel=5e-9)


def test_published_bound_of_shifted_data() -> None:
    # CHECKS: N(1, 0.25) under the tutorial's table; the total is that of the exact reverse chain.
    exact, table = ExactGaussian(1.0, 0.5), discrete.sigmoid()
    x_0, eps = exact.mean + exact.std * SIGNS[:, :1], SIGNS[:, 1:]
    denoise = OptimalVariance(exact, table)
    terms = variational_bound(denoise, x_0, table, noise=lambda _: eps, variance="learned")
    assert float(terms.L_T.mean()) == pytest.approx(0.849797, abs=5.1e-7)
    assert float(terms.nats.mean()) == pytest.approx(1.260979, abs=5.1e-7)


def test_each_step_is_the_papers_squared_difference_of_means() -> None:
    # Ho et al. (2020), eq. 7 and 8, with variance beta_tilde: |mu~ - mu|² / (2 beta_tilde).
    table = discrete.linear(8, reference_levels=8, beta_start=0.01, beta_end=0.3)
    beta = np.linspace(0.01, 0.3, 8)
    alpha_bar = np.concatenate([[1.0], np.cumprod(1 - beta)])
    guess, x_0 = 0.4, torch.tensor([[1.0, -0.5]], dtype=torch.float64)
    terms = variational_bound(ExactGaussian(guess, 0.0), x_0, table, noise=noise_from(generator(1)))
    by_hand = []
    for i in range(2, 9):
        noisy, before = 1 - alpha_bar[i], 1 - alpha_bar[i - 1]
        tilde = before / noisy * beta[i - 1]
        slope = math.sqrt(alpha_bar[i - 1]) * beta[i - 1] / noisy
        by_hand.append(slope**2 * ((1.0 - guess) ** 2 + (-0.5 - guess) ** 2) / (2 * tilde))
    assert terms.L_t.shape == (1, 7)
    assert terms.L_t[0].tolist() == pytest.approx(by_hand, rel=1e-10)


@pytest.mark.parametrize(
    ("steps", "variance", "decoder_variance"),
    # The linear table of 1,000 begins so: beta_1 = 1e-4, and beta_tilde_2 = 5.45318766e-5 (CHECKS).
    [(2, "beta", 1e-4), (2, "beta_tilde", 5.45318766e-5), (1, "beta_tilde", 1e-4)],
)
def test_decoder_is_a_gaussian_about_the_last_prediction(
    steps: int, variance: str, decoder_variance: float
) -> None:
    table = discrete.from_beta(torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)[:steps])
    x_0 = torch.tensor([[0.31, -0.2]], dtype=torch.float64)
    terms = variational_bound(
        ExactGaussian(0.3, 0.0), x_0, table, noise=torch.zeros_like, variance=variance
    )
    std = math.sqrt(decoder_variance)
    by_hand = -float(norm.logpdf(0.31, 0.3, std) + norm.logpdf(-0.2, 0.3, std))
    assert float(terms.L_0) == pytest.approx(by_hand, rel=1e-8)


def test_decoder_of_whole_numbers_is_the_probability_of_the_bin() -> None:
    x_0 = torch.tensor([[51 / 255 * 2 - 1, 1.0]], dtype=torch.float64)
    terms = variational_bound(
        ExactGaussian(-0.6, 0.0),
        x_0,
        discrete.sigmoid(),
        noise=torch.zeros_like,
        variance="beta",
        bin_width=2 / 255,
    )
    std = math.sqrt(0.00499 / (1 + math.exp(6)) + 1e-5)  # the table's first beta
    inside = 2 * norm.cdf(1 / 255 / std) - 1  # its mean is the bin's centre
    last = norm.logsf((1 - 1 / 255 + 0.6) / std)
    assert float(terms.L_0) == pytest.approx(-math.log(inside) - last, rel=1e-7)


def test_whole_numbers_refuse_other_data() -> None:
    # An 8-bit decoder on data that is not 8-bit gives a number that means nothing.
    x_0 = torch.tensor([[0.31]], dtype=torch.float64)
    with pytest.raises(DataError, match="continuous density"):
        variational_bound(
            ExactGaussian(0.0, 1.0),
            x_0,
            discrete.sigmoid(),
            noise=torch.zeros_like,
            bin_width=2 / 255,
        )


@pytest.mark.parametrize(("fraction", "variance"), [(0.0, "beta_tilde"), (1.0, "beta")])
def test_a_learned_variance_at_its_ends_is_a_fixed_one(fraction: float, variance: str) -> None:
    def denoise(x_t: Tensor, level: NoiseLevel) -> Prediction:
        return Prediction(0.5 * x_t, torch.full_like(x_t, fraction))

    x_0, table = torch.tensor([[1.0, -0.5]], dtype=torch.float64), discrete.linear(20)
    learned, fixed = (
        variational_bound(denoise, x_0, table, noise=noise_from(generator(2)), variance=which)
        for which in ("learned", variance)
    )
    torch.testing.assert_close(learned.L_t, fixed.L_t)


@pytest.mark.parametrize("variance", ["beta", "beta_tilde"])
def test_bound_of_a_mixture_is_above_its_entropy(variance: str) -> None:
    # Each term depends on x_0 and one eps: nodes for both, weighted, give its expectation.
    weights, means, stds = (0.4, 0.6), (-1.0, 0.7), (0.3, 0.5)
    nodes, node_weights = np.polynomial.hermite_e.hermegauss(20)
    x = np.concatenate([m + s * nodes for m, s in zip(means, stds, strict=True)])
    share = np.concatenate([w * node_weights for w in weights]) / math.sqrt(2 * math.pi)
    x_0 = torch.from_numpy(np.repeat(x, 20))[:, None]
    eps = torch.from_numpy(np.tile(nodes, 40))[:, None]
    weight = torch.from_numpy(np.outer(share, node_weights / math.sqrt(2 * math.pi)).ravel())
    mixture = gaussian_mixture(
        torch.tensor(weights), torch.tensor(means)[:, None], torch.tensor(stds)[:, None, None] ** 2
    )

    def density(at: float) -> float:
        parts = zip(weights, means, stds, strict=True)
        return float(sum(w * norm.pdf(at, m, s) for w, m, s in parts))

    entropy = quad(lambda at: -density(at) * math.log(density(at)), -5, 5, limit=200)[0]
    gaps = []
    for num_levels in (20, 60):
        terms = variational_bound(
            mixture, x_0, discrete.linear(num_levels), noise=lambda _: eps, variance=variance
        )
        gaps.append(float((weight * terms.nats).sum()) - entropy)
    assert min(gaps) > 1e-3
    assert gaps[1] < gaps[0] / 2  # shorter steps are more nearly Gaussian


def test_a_worse_denoiser_has_a_larger_bound() -> None:
    exact, wrong = ExactGaussian(1.0, 0.5), ExactGaussian(0.8, 0.5)
    x_0, table = 1 + 0.5 * SIGNS[:, :1], discrete.linear(100)
    best, worse = (
        variational_bound(d, x_0, table, noise=lambda _: SIGNS[:, 1:], variance="beta")
        for d in (exact, wrong)
    )
    assert float(worse.nats.mean()) > float(best.nats.mean()) + 0.01


def test_every_level_has_noise_of_its_own_in_order() -> None:
    table, calls = discrete.linear(5), iter(range(1, 6))
    seen = {}

    def denoise(x_t: Tensor, level: NoiseLevel) -> Prediction:
        seen[int(table.index(level))] = float(x_t[0, 0] / level.sigma)
        return Prediction(x_t)

    x_0 = torch.zeros(1, 1, dtype=torch.float64)
    variational_bound(denoise, x_0, table, noise=lambda x: torch.full_like(x, float(next(calls))))
    assert seen == pytest.approx({1: 1.0, 2: 2.0, 3: 3.0, 4: 4.0, 5: 5.0}, rel=1e-12)


def test_bits_are_per_number_of_a_sample() -> None:
    ones = torch.ones(3, dtype=torch.float64)
    terms = BoundTerms(ones, ones[:, None].expand(3, 4), 2 * ones, dimension=7)
    assert terms.nats.tolist() == [7.0, 7.0, 7.0]
    assert terms.bits_per_dimension.tolist() == pytest.approx([1 / math.log(2)] * 3)


def test_images_are_summed_over_all_their_numbers() -> None:
    rows = torch.randn(2, 12, dtype=torch.float64, generator=generator(5))
    flat, image = (
        variational_bound(
            ExactGaussian(0.2, 0.6), x_0, discrete.linear(5), noise=noise_from(generator(6))
        )
        for x_0 in (rows, rows.view(2, 3, 2, 2))
    )
    assert image.dimension == 12
    torch.testing.assert_close(image.bits_per_dimension, flat.bits_per_dimension)


def test_mean_and_error_are_those_of_the_batch() -> None:
    mean, error = mean_and_error(torch.tensor([1.0, 2.0, 6.0], dtype=torch.float64))
    assert mean == pytest.approx(3)
    assert error == pytest.approx(math.sqrt((4 + 1 + 9) / 2 / 3))


def test_no_graph_is_kept() -> None:
    weight = torch.ones(1, dtype=torch.float64, requires_grad=True)
    terms = variational_bound(
        lambda x_t, level: Prediction(weight * x_t),
        torch.ones(2, 1, dtype=torch.float64),
        discrete.linear(3),
        noise=noise_from(generator(7)),
    )
    assert not terms.nats.requires_grad


@pytest.mark.parametrize(
    ("variance", "message"),
    [("beta_tild", "did you mean 'beta_tilde'"), ("learned", "no variance")],
)
def test_a_variance_that_is_not_there_is_refused(variance: str, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        expected(ExactGaussian(0.0, 1.0), discrete.linear(3), variance)
