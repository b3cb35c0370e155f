"""Toy sets against scikit-learn's shapes, and their densities against integrals."""

import math

import numpy as np
import pytest
from scipy import integrate
from sklearn import datasets

from sfumato.data.toy import TOY_SETS, draw, toy_set
from sfumato.errors import ArgumentError

WITH_DENSITY = [name for name, each in TOY_SETS.items() if each.log_density is not None]


@pytest.mark.parametrize("name", TOY_SETS)
def test_any_size_named_columns_and_positions(name: str) -> None:
    for n in (0, 1, 257):
        points = draw(name, n, seed=0)
        assert points.values.shape == (n, len(points.columns))
        assert points.values.dtype == np.float64
        assert points.position is not None
        assert points.position.shape == (n,)
        assert ((points.position >= 0) & (points.position <= 1)).all()
        assert np.isfinite(points.values).all()


@pytest.mark.parametrize("name", TOY_SETS)
def test_seed_and_stream_decide_the_draw(name: str) -> None:
    one = draw(name, 50, seed=1).values
    np.testing.assert_array_equal(draw(name, 50, seed=1).values, one)
    assert not np.array_equal(draw(name, 50, seed=2).values, one)
    assert not np.array_equal(draw(name, 50, seed=1, stream="fresh-0").values, one)


def _same_distribution(ours: np.ndarray, theirs: np.ndarray) -> None:
    """Quantiles of every column and of random projections agree within sampling error."""
    rng = np.random.default_rng(0)
    directions = np.concatenate([np.eye(ours.shape[1]), rng.standard_normal((5, ours.shape[1]))]).T
    at = np.linspace(0.05, 0.95, 10)
    a, b = (np.quantile(x @ directions, at, axis=0) for x in (ours, theirs))
    assert np.abs(a - b).max() < 0.05 * (theirs @ directions).std(0).max()


@pytest.mark.parametrize(
    ("name", "made", "keep", "scale"),
    [
        ("s-curve", "s_curve", [0, 2], 10),
        ("s-curve-3d", "s_curve", [0, 1, 2], 10),
        ("swiss-roll", "swiss_roll", [0, 2], 10),
        ("swiss-roll-3d", "swiss_roll", [0, 1, 2], 10),
        ("moons", "moons", [0, 1], 1),
        ("circles", "circles", [0, 1], 1),
    ],
)
def test_the_classic_shapes_are_scikit_learns(
    name: str, made: str, keep: list[int], scale: float
) -> None:
    options = {"factor": 0.5} if made == "circles" else {}
    make = getattr(datasets, f"make_{made}")
    theirs, _ = make(20_000, noise=TOY_SETS[name].noise, random_state=0, **options)
    _same_distribution(draw(name, 20_000, seed=0).values, theirs[:, keep] / scale)


def test_the_tutorials_mean_log_density_is_the_published_one() -> None:
    """3.2298 +- 0.002 nats: mean log density of the S-curve's own draws."""
    known = toy_set("s-curve")
    assert known.log_density is not None
    nats = known.log_density(draw("s-curve", 300_000, seed=5).values, 0.1)
    error = nats.std() / len(nats) ** 0.5
    assert error < 0.003
    assert abs(nats.mean() - 3.2298) < 0.002 + 3 * error


def test_the_s_curves_density_is_its_integral() -> None:
    def integrand(u: float, x: np.ndarray) -> float:
        t = 3 * math.pi * (u - 0.5)
        centre = np.array([math.sin(t), math.copysign(1, t) * (math.cos(t) - 1)]) / 10
        return math.exp(-((x - centre) ** 2).sum() / (2 * 0.01**2)) / (2 * math.pi * 0.01**2)

    known = toy_set("s-curve")
    assert known.log_density is not None
    for x in draw("s-curve", 12, seed=1).values:
        expected, _ = integrate.quad(integrand, 0, 1, args=(x,), limit=500, epsabs=1e-9)
        assert known.log_density(x[None], 0.1)[0] == pytest.approx(math.log(expected), abs=2e-3)


@pytest.mark.parametrize("name", WITH_DENSITY)
def test_every_density_integrates_to_one(name: str) -> None:
    known = TOY_SETS[name]
    assert known.log_density is not None
    values = draw(name, 4000, seed=0).values
    low, high = values.min(0) - 0.15 * np.ptp(values), values.max(0) + 0.15 * np.ptp(values)
    side = 220
    axes = [np.linspace(low[k], high[k], side) for k in range(2)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    cell = np.prod([(axis[-1] - axis[0]) / (side - 1) for axis in axes])
    total = np.exp(known.log_density(grid, known.noise)).sum() * cell
    assert total == pytest.approx(1, abs=2e-3)


def test_checkerboard_lies_on_the_dark_squares() -> None:
    values = draw("checkerboard", 5000, seed=0).values
    square = np.floor(values).astype(int)
    assert ((square.sum(1) % 2) == 0).all() or ((square.sum(1) % 2) == 1).all()
    assert len(np.unique(square, axis=0)) == 8


@pytest.mark.parametrize(
    "wrong", [{"n": -1, "seed": 0}, {"n": 1, "seed": -1}, {"n": 1, "seed": 0, "noise": -0.1}]
)
def test_negative_numbers_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ArgumentError, match="must not be negative"):
        draw("moons", **wrong)  # type: ignore[arg-type]


def test_an_unknown_set_offers_the_nearest() -> None:
    with pytest.raises(ArgumentError, match="did you mean 's-curve'"):
        toy_set("s_curve")


def test_no_noise_has_no_density() -> None:
    known = toy_set("moons")
    assert known.log_density is not None
    with pytest.raises(ArgumentError, match="no density"):
        known.log_density(np.zeros((1, 2)), 0.0)
