"""The floor of a figure that compares two sets of numbers by their order.

Were both of one law, any split of all the numbers into two such sets would be as likely as the one
that was found; so the figures of random splits are what chance gives (Fisher 1935).
"""

from collections.abc import Callable

import numpy as np

SHUFFLES = 20


def shuffled(
    figure: Callable[[np.ndarray, np.ndarray], float],
    a: np.ndarray,
    b: np.ndarray,
    rng: np.random.Generator,
) -> list[float]:
    """The figure of random splits of both sets together, 20 times.

    Args:
        figure: of two sets.
        a: `(n,)`.
        b: `(m,)`.
        rng: how to split.
    """
    parts = (rng.permutation(np.concatenate([a, b])) for _ in range(SHUFFLES))
    return [figure(part[: len(a)], part[len(a) :]) for part in parts]
