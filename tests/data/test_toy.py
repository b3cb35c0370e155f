"""Toy sets against scikit-learn's shapes, and their densities against integrals."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy import integrate, special
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
    """3.2298 +- 0.002 nats: mean log density of the S-curve's own draws.

    The integral of p log p, on a grid and with a quadrature of its own, is 3.228732.
    """
    known = toy_set("s-curve")
    assert known.log_density is not None
    nats = known.log_density(draw("s-curve", 200_000, seed=5).values, 0.1)
    assert abs(nats.mean() - 3.228732) < 3.5 * nats.std() / len(nats) ** 0.5
    low, high = np.array([-0.17, -0.27]), np.array([0.17, 0.27])
    axes = [np.arange(low[k], high[k], 0.004) for k in range(2)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    log_p = known.log_density(grid, 0.1)
    exact = (np.exp(log_p) * log_p).sum() * 0.004**2
    assert exact == pytest.approx(3.2298, abs=0.002)
    assert exact == pytest.approx(3.228732, abs=1e-6)


Arc = Callable[[float], tuple[float, float]]


def _s_half(side: float) -> Arc:
    return lambda v: (
        side * math.sin(1.5 * math.pi * v) / 10,
        side * (math.cos(1.5 * math.pi * v) - 1) / 10,
    )


def _roll(v: float) -> tuple[float, float]:
    t = 1.5 * math.pi * (1 + 2 * v)
    return t * math.cos(t) / 10, t * math.sin(t) / 10


def _spiral(side: float) -> Arc:
    def arc(v: float) -> tuple[float, float]:
        t = 3 * math.pi * math.sqrt(0.05 + 0.95 * v)
        return side * t / math.pi * math.cos(t), side * t / math.pi * math.sin(t)

    return arc


# The smooth arcs of each open curve, each with the same share of the rows, and the width.
ARCS: dict[str, tuple[tuple[Arc, ...], float]] = {
    "s-curve": ((_s_half(1), _s_half(-1)), 0.01),
    "swiss-roll": ((_roll,), 0.05),
    "moons": (
        (
            lambda v: (math.cos(math.pi * v), math.sin(math.pi * v)),
            lambda v: (1 - math.cos(math.pi * v), 0.5 - math.sin(math.pi * v)),
        ),
        0.08,
    ),
    "spirals": ((_spiral(1), _spiral(-1)), 0.1),
}


@pytest.mark.parametrize("name", ARCS)
def test_a_curves_density_is_its_integral(name: str) -> None:
    arcs, width = ARCS[name]

    def density(x: np.ndarray) -> float:
        def integrand(v: float, arc: Arc) -> float:
            a, b = arc(v)
            return math.exp(-((x[0] - a) ** 2 + (x[1] - b) ** 2) / (2 * width**2))

        stops = np.linspace(0, 1, 41)
        total = sum(
            integrate.quad(integrand, low, high, args=(arc,), epsabs=0, epsrel=1e-9)[0]
            for arc in arcs
            for low, high in pairwise(stops)
        )
        return total / len(arcs) / (2 * math.pi * width**2)

    known = toy_set(name)
    assert known.log_density is not None
    # The ends, where a careless quadrature errs most; ten times the width beyond one; own rows.
    ends = [np.array(arc(v)) for arc in arcs for v in (0.0, 1.0)]
    beyond = ends[-1] + 10 * width * np.array([0.6, 0.8])
    points = np.array([*ends, beyond, *draw(name, 5, seed=1).values])
    expected = [math.log(density(x)) for x in points]
    np.testing.assert_allclose(known.log_density(points, known.noise), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "radii"), [("circles", (1.0, 0.5)), ("rings", (0.5, 1.0, 1.5, 2.0))]
)
@pytest.mark.parametrize("noise", [0.06, 0.5, 3.0])
def test_a_circles_density_is_its_bessel_function(
    name: str, radii: tuple[float, ...], noise: float
) -> None:
    """exp(-(r² + R²) / 2s²) I_0(r R / s²) / (2 pi s²), averaged over the radii R."""
    known = toy_set(name)
    assert known.log_density is not None
    x = draw(name, 200, seed=1).values
    r, big = np.hypot(*x.T)[:, None], np.array(radii)
    terms = np.exp(-((r - big) ** 2) / (2 * noise**2)) * special.ive(0, r * big / noise**2)
    expected = np.log(terms.mean(1) / (2 * math.pi * noise**2))
    np.testing.assert_allclose(known.log_density(x, noise), expected, atol=1e-6)


@pytest.mark.parametrize("name", WITH_DENSITY)
def test_every_density_integrates_to_one(name: str) -> None:
    known = TOY_SETS[name]
    assert known.log_density is not None
    values = draw(name, 4000, seed=0).values
    low, high = values.min(0) - 0.15 * np.ptp(values), values.max(0) + 0.15 * np.ptp(values)
    side = 120
    axes = [np.linspace(low[k], high[k], side) for k in range(2)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    cell = np.prod([(axis[-1] - axis[0]) / (side - 1) for axis in axes])
    total = np.exp(known.log_density(grid, known.noise)).sum() * cell
    assert total == pytest.approx(1, abs=1e-4)


def test_checkerboard_lies_on_the_dark_squares() -> None:
    values = draw("checkerboard", 5000, seed=0).values
    square = np.floor(values).astype(int)
    assert ((square.sum(1) % 2) == 0).all() or ((square.sum(1) % 2) == 1).all()
    assert len(np.unique(square, axis=0)) == 8


@pytest.mark.parametrize("wrong", [-1, 2.5, math.nan, "3"])
@pytest.mark.parametrize("name", ["n", "seed"])
def test_what_is_no_whole_number_from_0_is_refused(name: str, wrong: Any) -> None:
    with pytest.raises(ArgumentError, match=f"`{name}` must be an integer, 0 or more; got"):
        draw("moons", **{"n": 1, "seed": 0, name: wrong})


def test_whole_numbers_of_numpy_are_taken() -> None:
    rows = draw("moons", np.int64(3), seed=np.uint8(7)).values  # type: ignore[arg-type]
    np.testing.assert_array_equal(rows, draw("moons", 3, seed=7).values)


@pytest.mark.parametrize("noise", [-0.1, math.nan, math.inf])
def test_noise_that_is_negative_or_no_number_is_refused(noise: float) -> None:
    with pytest.raises(ArgumentError, match="`noise` must be a finite number, 0 or more"):
        draw("moons", 1, seed=0, noise=noise)


def test_an_unknown_set_offers_the_nearest() -> None:
    with pytest.raises(ArgumentError, match="did you mean 's-curve'"):
        toy_set("s_curve")


def test_no_noise_has_no_density() -> None:
    known = toy_set("moons")
    assert known.log_density is not None
    with pytest.raises(ArgumentError, match="no density"):
        known.log_density(np.zeros((1, 2)), 0.0)
