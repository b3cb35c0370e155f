"""A Gaussian mixture by expectation maximisation (scikit-learn), its size chosen on held-out rows.

    (1)  p(x) = sum_k w_k N(x; m_k, C_k)

A tenth of the rows is kept out. Ever more components are tried until these rows have become less
probable twice in a row, and the size at which they are most probable is kept.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sfumato.denoisers.mixture import GaussianMixture, from_scikit_learn
from sfumato.process.noise import NoiseLevel
from sfumato.runs.families.family import Budget, Frame, in_chunks

title = "Gaussian mixture"
even = False
likelihood = "exact, in closed form"
recipe = (
    "expectation maximisation with full covariances; 1, 2, 3, 4, 6, 8, 12, ... components, as "
    "many as make held-out rows most probable; of 30,000 rows at most"
)
# A step cannot be stopped half way; this many rows keep the longest within seconds.
MOST_ROWS = 30_000
SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """A fitted mixture."""

    law: GaussianMixture
    calls: int = 0
    estimated: bool = False

    @property
    def parameters(self) -> int:
        """Weights, means and covariances."""
        k, d = self.law.means.shape
        return k - 1 + k * d + k * d * (d + 1) // 2

    def _stages(self, source: torch.Generator, size: int) -> Tensor:
        """Noise, and the noise stretched and moved to a component's place, `(size, 2, d)`."""
        eps = torch.randn(size, self.law.means.shape[1], dtype=torch.float64, generator=source)
        shares = torch.rand(size, dtype=torch.float64, generator=source)
        weights = self.law.log_weights.exp().cumsum(0)
        k = torch.searchsorted(weights, shares).clamp(max=len(weights) - 1)
        along = self.law.variances[k].sqrt() * eps
        x = self.law.means[k] + torch.einsum("bij,bj->bi", self.law.axes[k], along)
        return torch.stack([eps, x], dim=1).float()

    def sample(self, n: int, seed: int) -> Tensor:
        """A component by its weight, and a draw of it."""
        return in_chunks(n, seed, self._stages)[:, 1]

    def log_prob(self, x: Tensor) -> Tensor:
        """Eq. (1)."""
        return self.law.log_density(x.double(), NoiseLevel.clean())

    def frames(self, n: int, count: int) -> list[Frame]:  # noqa: ARG002
        """Noise, the components, and a draw of one for each row."""
        eps, x = in_chunks(n, 0, self._stages).unbind(1)
        axes, variances = self.law.axes, self.law.variances
        covariances = torch.einsum("kij,kj,klj->kil", axes, variances, axes)
        size = f"{len(axes)} component{'s' * (len(axes) > 1)}"
        drawn = Frame(size, eps[:0], "choose one\nby its weight", self.law.means, covariances)
        return [Frame("noise z", eps), drawn, Frame("x = m + L z", x, "stretch\nand move")]


def fit(rows: Tensor, budget: Budget, seed: int) -> Mixture:
    """Try ever more components; a step is one number of them."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture as Fit
    from threadpoolctl import threadpool_limits

    x = np.random.default_rng(seed).permutation(rows.double().numpy())[:MOST_ROWS]
    held, learned = x[: len(x) // 10], x[len(x) // 10 :]
    best, score, worse = None, -np.inf, 0
    sizes = [size for size in SIZES if size <= max(1, len(learned) // (5 * x.shape[1]))]
    for size, _ in zip(sizes, budget, strict=False):
        # One thread, as the other families have. What has not settled is judged by its score too.
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            tried = Fit(size, reg_covar=1e-5, max_iter=200, random_state=seed % 2**32).fit(learned)
        found = float(tried.score(held))
        worse = 0 if found > score else worse + 1
        if found > score:
            best, score = tried, found
        if worse == 2:
            break
    assert best is not None
    return Mixture(from_scikit_learn(best))
