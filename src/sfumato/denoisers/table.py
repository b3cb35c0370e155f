"""The denoiser of a table: the noisy numbers made clean, the categories by their probability.

Of a row some numbers are known and some are noisy, and the rest are missing; some of its
categories are known. The denoiser predicts

    (1)  E[x_0 | x_t, what is known]       of the noisy numbers
    (2)  p(category | what is known)       of the columns whose category is not known

Its numbers are predicted by what a network adds to the best linear estimate, in units of that
estimate's error (see `denoisers.correlated`), or, without correlations, by a parameterisation as a
single number is. Where numbers are of one unit, it also takes how far apart the estimates are (see
`denoisers.compared`). Of correlations that are all 0 both are edm's.

Numbers that are not noisy are predicted as if they were independent and N(0, 1), for whom the best
answer is F = 0 (edm's c_skip alone): a sampler may walk them and a flow may carry them at no cost,
and nothing else depends on them.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sfumato.denoisers.compared import Comparisons
from sfumato.denoisers.correlated import Posterior, posterior
from sfumato.denoisers.denoiser import FARTHEST, Conditioning, Prediction, log_snr
from sfumato.networks.table_mlp import TableCondition, TableMLP
from sfumato.networks.tangents import with_trace
from sfumato.process.noise import NoiseLevel, spread
from sfumato.process.parameterisations import Parameterisation


@dataclass(frozen=True, slots=True, eq=False)
class TablePrediction:
    """What a denoiser says of rows.

    Args:
        x_0: eq. (1), `(batch, numbers)`.
        std: the unit in which the network adds to it, broadcasts with `x_0`.
        logits: of eq. (2), `(batch, sum of categories)`.
    """

    x_0: Tensor
    std: Tensor
    logits: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class _NetworkInputs:
    """What the network takes, and what its answer is added to, in units of std."""

    inputs: list[Tensor]
    number: Tensor
    estimate: Tensor
    std: Tensor
    normal: Posterior | None

    def added(self, answer: Tensor) -> Tensor:
        """Eq. (1), of the network's answer."""
        return self.estimate + self.std * answer.to(self.estimate)


@dataclass(frozen=True, slots=True, eq=False)
class TableDenoiser:
    """A network that predicts both, and the number that tells it the noise.

    Args:
        network: `(x, number, condition)` to answers for numbers and logits, see
            `networks.table_mlp`.
        parameterisation: turns the answer into x_0; one whose F is 0 for data N(0, 1), as edm.
        conditioning: the number that the network takes.
        correlations: of the numbers, `(numbers, numbers)`; the network then takes the residuals of
            `denoisers.correlated` as well.
        comparisons: of the numbers, where there are correlations too; the network then takes them.
    """

    network: nn.Module
    parameterisation: Parameterisation
    conditioning: Conditioning = log_snr
    correlations: Tensor | None = None
    comparisons: Comparisons | None = None

    def __post_init__(self) -> None:
        self.network.eval()

    def with_network(self, network: nn.Module) -> "TableDenoiser":
        """The same denoiser of another network."""
        return replace(self, network=network)

    def both(
        self, x_t: Float[Tensor, "batch numbers"], level: NoiseLevel, condition: TableCondition
    ) -> TablePrediction:
        """Eq. (1) and (2) of one call of the network.

        Rows without a noisy number have the noise of a level with no signal.
        """
        given = self._network_inputs(x_t, level, condition)
        x, *beside = given.inputs
        answer, logits = self.network(x, given.number, condition, *beside)
        return TablePrediction(given.added(answer), given.std, logits)

    def _network_inputs(
        self, x_t: Float[Tensor, "batch numbers"], level: NoiseLevel, condition: TableCondition
    ) -> _NetworkInputs:
        """What the network takes of noisy numbers, and what its answer is added to."""
        scalings = self.parameterisation(level)
        weight = next(self.network.parameters())
        number = torch.where(condition.is_noisy.any(1), self.conditioning(level), -FARTHEST)
        inputs = [(spread(scalings.c_in, x_t) * x_t).to(weight)]
        estimate, std = spread(scalings.c_skip, x_t) * x_t, spread(scalings.c_out, x_t)
        normal = None
        if self.correlations is not None:
            normal = posterior(self.correlations, x_t, level, condition)
            estimate = torch.where(condition.is_noisy, normal.mean.to(x_t), estimate)
            std = torch.where(condition.is_noisy, normal.std.to(x_t), std)
            inputs.append(self._beside(estimate, normal.residual, condition))
        return _NetworkInputs(inputs, number.to(weight), estimate, std, normal)

    def _beside(self, estimate: Tensor, residual: Tensor, condition: TableCondition) -> Tensor:
        """What a network takes of the numbers besides: the residuals, and the comparisons."""
        weight = next(self.network.parameters())
        if self.comparisons is None:
            return residual.to(weight)
        compared = self.comparisons(*_compared(estimate, condition))
        return torch.cat([residual.to(weight), compared.to(weight)], 1)

    def __call__(
        self, x_t: Float[Tensor, "batch numbers"], level: NoiseLevel, condition: TableCondition
    ) -> Prediction:
        """Eq. (1)."""
        given = self._network_inputs(x_t, level, condition)
        x, *beside = given.inputs
        # A subclass may not know that logits can be left out.
        fewer = {"logits": False} if type(self.network) is TableMLP else {}
        answer, _ = self.network(x, given.number, condition, *beside, **fewer)
        return Prediction(given.added(answer))

    @torch.no_grad()
    def with_growth(
        self,
        x_t: Float[Tensor, "batch numbers"],
        level: NoiseLevel,
        condition: TableCondition,
        places: Int[Tensor, " k"],
    ) -> tuple[Float[Tensor, "batch numbers"], Float[Tensor, " batch"]]:
        """Eq. (1), and the growth of each of some numbers with its own x_t, summed.

        Args:
            x_t: noisy numbers.
            level: one for all rows or one each.
            condition: what is known.
            places: which numbers.
        """
        assert isinstance(self.network, TableMLP)
        given, noisy = self._network_inputs(x_t, level, condition), condition.is_noisy
        scalings = self.parameterisation(level)
        # Each tangent moves one number, by the unit in which its own answer counts.
        unit = given.std.expand_as(x_t)[:, places]
        moves = torch.zeros(len(x_t), len(places), x_t.shape[1]).to(x_t)
        moves[:, torch.arange(len(places)), places] = unit
        tangents = [spread(scalings.c_in, moves) * moves]
        own = spread(scalings.c_skip, x_t).expand_as(x_t)
        if given.normal is not None:
            mean, residual = given.normal.slopes(level, noisy)
            of_mean, *beside = (
                (each[:, :, places] * unit[:, None]).transpose(1, 2) for each in (mean, residual)
            )
            if self.comparisons is not None:
                compared = _compared(given.estimate, condition)
                beside.append(self.comparisons.along(*compared, of_mean))
            tangents.append(torch.cat(beside, 2))
            own = torch.where(noisy, mean.diagonal(dim1=1, dim2=2), own)
        answer, growth = with_trace(
            self.network,
            given.inputs,
            given.number,
            condition,
            [each.to(given.inputs[0]) for each in tangents],
            places,
        )
        return given.added(answer), (own[:, places].sum(1) + growth).to(x_t)

    @torch.no_grad()
    def logits(self, known: Tensor, categories: Tensor) -> Tensor:
        """Eq. (2) where no number is noisy, `(batch, sum of categories)`, float64.

        Args:
            known: numbers, NaN where they are not known, `(batch, numbers)`.
            categories: see `networks.table_mlp.TableCondition`.
        """
        is_known = known.isfinite()
        condition = TableCondition(
            known.nan_to_num(), is_known, torch.zeros_like(is_known), categories
        )
        # As `both` of rows without a noisy number: no signal, and nothing of it to estimate.
        nothing = torch.zeros_like(known).to(next(self.network.parameters()))
        number = nothing.new_full((len(known),), -FARTHEST)
        beside = []
        if self.correlations is not None:
            beside = [self._beside(nothing, nothing, condition)]
        logits: Tensor = self.network(nothing, number, condition, *beside)[1]
        return logits.double()


def _compared(estimate: Tensor, condition: TableCondition) -> tuple[Tensor, Tensor, Tensor]:
    """What `Comparisons` takes: the numbers, which of them there are, and the categories."""
    z = torch.where(condition.is_known, condition.known.to(estimate), estimate)
    return z, condition.is_known | condition.is_noisy, condition.categories


@dataclass(frozen=True, slots=True, eq=False)
class SomeNumbers:
    """The denoiser of some numbers of rows; the others are known or missing.

    Args:
        denoise: of all numbers.
        condition: what is known.
        places: which are asked for, `(k,)`; a row need not have them all.
    """

    denoise: TableDenoiser
    condition: TableCondition
    places: Int[Tensor, " k"]

    def __call__(self, x_t: Float[Tensor, "batch k"], level: NoiseLevel) -> Prediction:
        """Eq. (1) at one level."""
        x_0 = self.denoise(*self.of_all(x_t, level), self.condition).x_0
        return Prediction(x_0[:, self.places])

    def of_all(
        self, x_t: Float[Tensor, "batch k"], level: NoiseLevel
    ) -> tuple[Float[Tensor, "batch numbers"], NoiseLevel]:
        """All numbers, and the level of each row.

        Rows that have a level of their own are worked out alone: what they share with others would
        be worked out in shapes, and so with last digits, that depend on those.
        """
        alpha, sigma = level.alpha.expand(len(x_t)), level.sigma.expand(len(x_t))
        known = self.condition.known
        x_t = x_t.new_zeros(known.shape).index_copy(1, self.places, x_t)
        return x_t, NoiseLevel(alpha, sigma)


class TracedNumbers(SomeNumbers):
    """The same of a `TableMLP`, which knows the trace of its derivative."""

    def with_trace(
        self, x_t: Float[Tensor, "batch k"], level: NoiseLevel
    ) -> tuple[Prediction, Float[Tensor, " batch"]]:
        """Eq. (1) at one level, and the trace of its derivative by x_t."""
        x_0, trace = self.denoise.with_growth(*self.of_all(x_t, level), self.condition, self.places)
        return Prediction(x_0[:, self.places]), trace
