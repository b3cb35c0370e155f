"""Small point sets with a shape, any size, seeded; the density too where it is known.

Each is drawn by `draw(name, n, seed=...)`. The S-curve is the tutorial's: the classic 3-D sheet
with noise 0.1, its columns 0 and 2, divided by 10. Sets that are a noisy curve have the exact
density

    p(x) = integral over the curve's parameter of N(x; c(u), s² I) du

which is a one-dimensional integral.
"""

import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from sfumato.data.points import Points
from sfumato.errors import ArgumentError, unknown

Rng = np.random.Generator
Nodes = tuple[np.ndarray, np.ndarray, float]


@dataclass(frozen=True, slots=True)
class ToySet:
    """How to draw a set.

    Args:
        name: what it is called.
        description: one line.
        columns: names of its columns.
        noise: its own noise, as a standard deviation in the set's terms.
        draw: `(n, noise, rng)` to values `(n, d)` and positions `(n,)` in [0, 1].
        log_density: `(values, noise)` to nats `(n,)`, where known.
        nodes: noise to points `(k, d)`, weights `(k,)` and width: the set is those points, each
            blurred by a round Gaussian of that deviation; where known.
    """

    name: str
    description: str
    columns: tuple[str, ...]
    noise: float
    draw: Callable[[int, float, Rng], tuple[np.ndarray, np.ndarray]]
    log_density: Callable[[np.ndarray, float], np.ndarray] | None = None
    nodes: Callable[[float], Nodes] | None = None


def _noisy(shape: np.ndarray, noise: float, rng: Rng) -> np.ndarray:
    return shape + noise * rng.standard_normal(shape.shape)


# ------------------------------------------------------------------- curves and their density


def _s_curve(u: np.ndarray) -> np.ndarray:
    """The S in the plane, u in [0, 1]; scikit-learn's `make_s_curve`, columns 0 and 2."""
    t = 3 * np.pi * (u - 0.5)
    return np.stack([np.sin(t), np.sign(t) * (np.cos(t) - 1)], axis=1)


def _swiss_roll(u: np.ndarray) -> np.ndarray:
    """One and a half turns of a spiral; scikit-learn's `make_swiss_roll`, columns 0 and 2."""
    t = 1.5 * np.pi * (1 + 2 * u)
    return np.stack([t * np.cos(t), t * np.sin(t)], axis=1)


def _moons(u: np.ndarray) -> np.ndarray:
    """Two half circles, one for u below a half: scikit-learn's `make_moons`."""
    upper = u < 0.5
    t = np.pi * np.where(upper, 2 * u, 2 * u - 1)
    return np.stack(
        [np.where(upper, np.cos(t), 1 - np.cos(t)), np.where(upper, np.sin(t), 0.5 - np.sin(t))],
        axis=1,
    )


def _circle_family(radii: tuple[float, ...]) -> Callable[[np.ndarray], np.ndarray]:
    """Circles about the origin, each with the same share of u."""

    def curve(u: np.ndarray) -> np.ndarray:
        which = np.minimum((u * len(radii)).astype(int), len(radii) - 1)
        angle = 2 * np.pi * (u * len(radii) - which)
        radius = np.array(radii)[which]
        return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)

    return curve


def _spirals(u: np.ndarray) -> np.ndarray:
    """Two spirals of one and a half turns; the second is the first turned by half a circle."""
    second = u >= 0.5
    along = np.where(second, 2 * u - 1, 2 * u)
    # With the root, equal steps of `along` are nearly equal lengths of arc.
    angle = 3 * np.pi * np.sqrt(0.05 + 0.95 * along)
    side = np.where(second, -1.0, 1.0)
    radius = side * angle / np.pi
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _curve_set(
    curve: Callable[[np.ndarray], np.ndarray], pieces: int, scale: float
) -> tuple[
    Callable[[int, float, Rng], tuple[np.ndarray, np.ndarray]],
    Callable[[np.ndarray, float], np.ndarray],
    Callable[[float], Nodes],
]:
    """Draws, log density and nodes of scale (curve(u) + noise), u uniform."""

    def draw_curve(n: int, noise: float, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
        u = rng.random(n)
        return scale * _noisy(curve(u), noise, rng), u

    def log_density(values: np.ndarray, noise: float) -> np.ndarray:
        return curve_log_density(values / scale, curve, noise, pieces) - 2 * math.log(scale)

    def nodes(noise: float) -> Nodes:
        points, weights = _quadrature(curve, noise, pieces)
        return scale * points, weights, scale * noise

    return draw_curve, log_density, nodes


def _quadrature(
    curve: Callable[[np.ndarray], np.ndarray], noise: float, pieces: int
) -> tuple[np.ndarray, np.ndarray]:
    """Points of the curve `(k, 2)` and their weights `(k,)`, which sum to 1.

    Gauss-Legendre with eight nodes to a panel; no panel is longer than twice the noise, or
    lies across a joint.
    """
    u = (np.arange(pieces)[:, None] + (np.arange(1000) + 0.5) / 1000) / pieces
    steps = np.linalg.norm(np.diff(curve(u.ravel()).reshape(pieces, -1, 2), axis=1), axis=2)
    panels = max(8, math.ceil(1000 * steps.max() / (2 * noise)))
    node, weight = np.polynomial.legendre.leggauss(8)
    starts = np.arange(pieces * panels)[:, None]
    nodes = (starts + (node + 1) / 2) / (pieces * panels)
    return curve(nodes.ravel()), np.tile(weight / 2 / (pieces * panels), pieces * panels)


def curve_log_density(
    values: np.ndarray,
    curve: Callable[[np.ndarray], np.ndarray],
    noise: float,
    pieces: int = 1,
) -> np.ndarray:
    """Log of the average over u in (0, 1) of N(x; curve(u), noise² I), in nats `(n,)`.

    Exact to 1e-6 within ten times the noise of the curve.

    Args:
        values: `(n, 2)`.
        curve: u `(k,)` to `(k, 2)`.
        noise: standard deviation, above 0.
        pieces: the curve is smooth between the joints at u = 1/pieces, 2/pieces, ...

    Raises:
        ArgumentError: if the noise is 0: there is no density then.
    """
    from scipy.spatial.distance import cdist

    if noise <= 0:
        raise ArgumentError("a set without noise lies on a curve and has no density.")
    nodes, weights = _quadrature(curve, noise, pieces)
    log_sums = []
    for block in np.array_split(values, max(1, math.ceil(len(values) * len(nodes) / 2_000_000))):
        exponent = cdist(block, nodes, "sqeuclidean")
        exponent *= -0.5 / noise**2
        top = exponent.max(axis=1)
        exponent -= top[:, None]
        log_sums.append(top + np.log(np.exp(exponent, out=exponent) @ weights))
    return np.concatenate(log_sums) - math.log(2 * math.pi * noise**2)


# ----------------------------------------------------------------------------- other shapes


def _s_curve_3d(n: int, noise: float, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    u = rng.random(n)
    flat = _s_curve(u)
    sheet = np.stack([flat[:, 0], 2 * rng.random(n), flat[:, 1]], axis=1)
    return _noisy(sheet, noise, rng) / 10, u


def _swiss_roll_3d(n: int, noise: float, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    u = rng.random(n)
    flat = _swiss_roll(u)
    sheet = np.stack([flat[:, 0], 21 * rng.random(n), flat[:, 1]], axis=1)
    return _noisy(sheet, noise, rng) / 10, u


def _checkerboard(n: int, noise: float, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    """Uniform on the eight dark squares of a 4 x 4 board on [-2, 2]²."""
    square = rng.integers(0, 8, n)
    row = square // 2
    corner = np.stack([2 * (square % 2) + row % 2, row], axis=1) - 2
    return _noisy(corner + rng.random((n, 2)), noise, rng), square / 7


def _pinwheel(n: int, noise: float, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    """Five arms: stretched Gaussians, twisted more the farther they reach (Johnson et al. 2016)."""
    arm = rng.integers(0, 5, n)
    radial, across = rng.standard_normal((2, n)) * np.array([[0.3], [noise]])
    reach = 1 + radial
    angle = 2 * np.pi * arm / 5 + 0.25 * np.exp(reach)
    turn = np.stack([np.cos(angle), np.sin(angle)])
    values = np.stack([reach * turn[0] - across * turn[1], reach * turn[1] + across * turn[0]], 1)
    return values, arm / 4


_EIGHT = 2 * np.stack([np.cos(np.arange(8) * np.pi / 4), np.sin(np.arange(8) * np.pi / 4)], axis=1)


def _eight_gaussians(n: int, noise: float, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    which = rng.integers(0, 8, n)
    return _noisy(_EIGHT[which], noise, rng), which / 7


def _eight_gaussians_log_density(values: np.ndarray, noise: float) -> np.ndarray:
    from scipy.special import logsumexp

    if noise <= 0:
        raise ArgumentError("a set without noise has no density.")
    distance = ((values[:, None, :] - _EIGHT) ** 2).sum(-1)
    return np.asarray(
        logsumexp(-distance / (2 * noise**2), axis=1) - math.log(8 * 2 * math.pi * noise**2)
    )


_PLANE, _SPACE = ("x", "y"), ("x", "y", "z")

_SETS = (
    ToySet("s-curve", "an S in the plane, a tenth of its usual size", _PLANE, 0.1,
           *_curve_set(_s_curve, 2, 0.1)),
    ToySet("s-curve-3d", "the sheet that the S is a section of", _SPACE, 0.1, _s_curve_3d),
    ToySet("swiss-roll", "a spiral of one and a half turns", _PLANE, 0.5,
           *_curve_set(_swiss_roll, 1, 0.1)),
    ToySet("swiss-roll-3d", "a rolled-up sheet", _SPACE, 0.5, _swiss_roll_3d),
    ToySet("moons", "two half circles, interleaved", _PLANE, 0.08, *_curve_set(_moons, 2, 1.0)),
    ToySet("circles", "one circle inside another", _PLANE, 0.06,
           *_curve_set(_circle_family((1.0, 0.5)), 2, 1.0)),
    ToySet("checkerboard", "eight dark squares, sharp edges", _PLANE, 0.0, _checkerboard),
    ToySet("spirals", "two spirals wound about each other", _PLANE, 0.1,
           *_curve_set(_spirals, 2, 1.0)),
    ToySet("pinwheel", "five curved arms", _PLANE, 0.1, _pinwheel),
    ToySet("eight-gaussians", "eight round clusters on a circle", _PLANE, 0.15,
           _eight_gaussians, _eight_gaussians_log_density,
           lambda noise: (_EIGHT, np.full(8, 1 / 8), noise)),
    ToySet("rings", "four concentric rings", _PLANE, 0.06,
           *_curve_set(_circle_family((0.5, 1.0, 1.5, 2.0)), 4, 1.0)),
)  # fmt: skip

TOY_SETS: Mapping[str, ToySet] = {each.name: each for each in _SETS}


def toy_set(name: str) -> ToySet:
    """The toy set of that name.

    Raises:
        ArgumentError: if there is none, naming the nearest.
    """
    if name not in TOY_SETS:
        raise unknown("toy set", name, TOY_SETS)
    return TOY_SETS[name]


def draw(
    name: str, n: int, *, seed: int, stream: str = "train", noise: float | None = None
) -> Points:
    """`n` rows of a toy set.

    Args:
        name: which set.
        n: how many rows.
        seed: same seed, same rows.
        stream: names independent draws of one seed.
        noise: instead of the set's own.

    Raises:
        ArgumentError: if the set is unknown, n or seed is not an integer of 0 or more, or
            the noise is negative or not finite.
    """
    chosen = toy_set(name)
    noise = chosen.noise if noise is None else noise
    for what, value in {"n": n, "seed": seed}.items():
        if not isinstance(value, int | np.integer) or value < 0:
            raise ArgumentError(f"`{what}` must be an integer, 0 or more; got {value}.")
    if not 0 <= noise < math.inf:
        raise ArgumentError(f"`noise` must be a finite number, 0 or more; got {noise}.")
    rng = np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(stream.encode())]))
    values, position = chosen.draw(n, noise, rng)
    return Points(values, chosen.columns, position)
