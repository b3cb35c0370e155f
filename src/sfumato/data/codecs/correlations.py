"""How the coded numbers of a table go together: the correlations of their best normal law.

Each is near N(0, 1) by its own codec. The correlation of two, over the rows that have both, is
shrunk towards independence by as much as suits rows that were left out best:

    (1)  S(k) = (1 - k) S + k I,    k of the largest normal log density, cross-validated

Few rows and many columns need more of k; numbers that decide each other need next to none.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

_FOLDS = 5
_SHRINKAGES = torch.logspace(-7, 0, 22, dtype=torch.float64)

# A correlation over fewer rows is taken as if the others of so many had shown none.
_FEW = 20


def correlations(
    z: Float[Tensor, "n C"], source: torch.Generator, free: Int[Tensor, " F"] | None = None
) -> Float[Tensor, "C C"]:
    """Eq. (1), float64, positive definite, 1 on its diagonal.

    Args:
        z: the coded numbers; NaN where one is missing.
        source: deals the rows to the folds.
        free: the numbers by whose density k is chosen, where the others follow from them exactly
            and would have k almost 0; all where not given.
    """
    there = z.isfinite()
    # What lies farther out than numbers of N(0, 1) do is not to decide alone.
    x = z.double().nan_to_num().clamp(-5, 5)
    fold = torch.randperm(len(x), generator=source) % _FOLDS
    loss = torch.zeros_like(_SHRINKAGES)
    y, seen = (x, there) if free is None else (x[:, free], there[:, free])
    for k in range(min(_FOLDS, len(x))):
        own = fold == k
        values, vectors = torch.linalg.eigh(_found(y[~own], seen[~own], few=_FEW))
        shrunk = (1 - _SHRINKAGES[:, None]) * values + _SHRINKAGES[:, None]
        left_out = _found(y[own], seen[own], few=0)
        held = torch.einsum("ik,ij,jk->k", vectors, left_out, vectors)
        loss += own.sum() * (held / shrunk + shrunk.log()).sum(1)
    best = _SHRINKAGES[loss.argmin()]
    found = (1 - best) * _found(x, there, few=_FEW)
    found = (found + found.T) / 2
    found.fill_diagonal_(1.0)
    return found


def _found(
    x: Float[Tensor, "n C"], there: Bool[Tensor, "n C"], *, few: int
) -> Float[Tensor, "C C"]:
    """The correlations about 0, made those of a normal law: none of its variances is negative."""
    with_both = (x.square().T @ there.double()).sqrt()
    found = x.T @ x / (with_both * with_both.T).clamp(min=1e-300)
    shared = there.double().T @ there.double()
    found = torch.where(shared < few, found * shared / max(few, 1), found)
    found.fill_diagonal_(1.0)
    values, vectors = torch.linalg.eigh(found)
    found = torch.einsum("ik,k,jk->ij", vectors, values.clamp(min=0), vectors)
    scale = found.diagonal().rsqrt()
    return torch.einsum("i,ij,j->ij", scale, found, scale)
