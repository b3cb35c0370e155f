"""The loop: learns a known answer, resumes bit for bit, stops at a loss that is not finite."""

import math
import threading
import time
from collections import Counter
from collections.abc import Iterator
from itertools import chain, pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sfumato.config import TrainingSettings
from sfumato.denoisers.denoiser import NetworkDenoiser, step_of
from sfumato.errors import ArgumentError, DivergedError, RunError
from sfumato.networks.mlp import StepMLP, VectorMLP
from sfumato.process import discrete, parameterisations
from sfumato.process.schedules import Cosine
from sfumato.training import checkpoint, loop
from sfumato.training.loop import Training, ahead, num_steps, train
from sfumato.training.optimizer import learning_rate
from sfumato.training.regression import AskedRows, NoisedRows, Regression, regression_training
from sfumato.training.times import TIME_DRAWS, Importance


def _training(rows: int = 300, *, width: int = 16, seed: int = 0, **settings: Any) -> Training:
    torch.manual_seed(0)
    recipe = TrainingSettings.model_validate(
        {"steps": 60, "batch_size": 64, "reference": 0, "log_every": 7, "warmup": 5} | settings
    )
    data = torch.randn(rows, 2, generator=torch.Generator().manual_seed(1))
    denoiser = NetworkDenoiser(VectorMLP(2, width, 2), parameterisations.edm)
    return regression_training(denoiser, Cosine(), data, recipe, seed=seed)


def _weights(training: Training) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in training.tensors().items()}


def _assert_same(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def test_records_come_every_group_and_at_the_end() -> None:
    records = list(train(_training()))
    assert [record.step for record in records] == [7, 14, 21, 28, 35, 42, 49, 56, 60]
    assert all(math.isfinite(record.loss) and record.num_steps == 60 for record in records)


@pytest.mark.parametrize(
    ("stop", "times", "reference"),
    [(7, "stratified", 0), (28, "antithetic", 0), (7, "importance", 0), (56, "importance", 0),
     (14, "stratified", 128)],
)  # fmt: skip
def test_resume_is_bit_exact(tmp_path: Path, stop: int, times: str, reference: int) -> None:
    recipe: dict[str, Any] = {"times": times, "batch_size": 128, "reference": reference}
    straight = _training(**recipe)
    list(train(straight))

    first = _training(**recipe)
    for record in train(first):
        if record.step == stop:
            break
    checkpoint.save(tmp_path, first.tensors(), first.numbers())
    second = _training(**recipe)
    nn.init.ones_(second.network.input_proj.weight)  # type: ignore[union-attr, arg-type]
    second.restore(*checkpoint.load(tmp_path))
    records = list(train(second))

    assert records[-1].step == 60
    _assert_same(_weights(straight), _weights(second))
    assert isinstance(straight.objective, Regression)
    if times == "importance":  # a run that never got warm would show nothing
        assert isinstance(straight.objective.times, Importance)
        assert float(straight.objective.times.density().max()) > 1


@pytest.mark.parametrize("log_every", [1, 7, 60])
def test_windows_end_where_they_do_however_often_it_reports_or_stops(
    log_every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 20 steps each, the last of 15; what is begun is prepared again, from its beginning."""
    monkeypatch.setattr(loop, "_PREPARED", 20 * 128 * 2 + 1)
    recipe: dict[str, Any] = {"batch_size": 128, "reference": 64, "steps": 55}
    windows, batch = list[int](), Regression.batch

    def noted(self: Regression, data: Tensor, index: Tensor, *rest: Any) -> NoisedRows:
        windows.append(len(index))
        return batch(self, data, index, *rest)

    monkeypatch.setattr(Regression, "batch", noted)
    straight = _training(log_every=log_every, **recipe)
    list(train(straight))
    assert windows == [20, 20, 15]
    for stop in range(0, 55, 5):
        first, second = _training(**recipe), _training(log_every=log_every, **recipe)
        with first.learning():
            for each in first.batches(stop):
                first.descend(each)
        windows.clear()
        second.restore(_weights(first), first.numbers())
        list(train(second))
        assert windows == [20, 20, 15][stop // 20 :], stop
        _assert_same(_weights(straight), _weights(second))


def test_resume_restores_the_runs_own_generator() -> None:
    """Whatever was drawn before, from it or from PyTorch's own."""
    first = _training()
    next(train(first))
    tensors, numbers = _weights(first), first.numbers()
    second = _training(seed=8)
    list(train(second))
    torch.manual_seed(99)
    second.restore(tensors, numbers)
    # To the end, where all that was prepared together is used, and beyond.
    for a, b in zip(first.batches(80), second.batches(80), strict=True):
        assert isinstance(a, AskedRows)
        assert isinstance(b, AskedRows)
        assert torch.equal(a.rows.x_t, b.rows.x_t)


def test_a_checkpoint_without_the_losses_of_importance_is_refused() -> None:
    training = _training()
    list(train(training))
    with pytest.raises(RunError, match="does not fit"):
        _training(times="importance").restore(training.tensors(), training.numbers())


@pytest.mark.parametrize("times", TIME_DRAWS)
def test_every_level_is_trained_the_first_and_the_last_too(times: str) -> None:
    """And never the clean one, which has nothing to learn."""
    told: list[int] = []

    class Told(StepMLP):
        def forward(self, x: Tensor, step: Tensor) -> Tensor:
            told.extend(step.tolist())
            return super().forward(x, step)

    table = discrete.sigmoid(10)
    denoiser = NetworkDenoiser(Told(2, 10, 8), parameterisations.eps, step_of(table))
    data = torch.randn(64, 2, generator=torch.Generator().manual_seed(1))
    recipe = TrainingSettings(steps=40, batch_size=64, times=times)
    list(train(regression_training(denoiser, table, data, recipe, seed=0)))
    assert set(told) == set(range(1, 11))


def test_the_average_of_a_short_run_is_near_its_end() -> None:
    training = _training(average=0.9999)
    start = training.tensors()["network.input_proj.weight"].clone()
    list(train(training))
    end, average = (
        training.tensors()[f"{part}.input_proj.weight"] for part in ("network", "average")
    )
    # Without the warm-up of the average the ratio would be 0.99.
    assert float((average - end).norm() / (start - end).norm()) < 0.3


def test_the_loss_by_importance_is_the_uniform_one() -> None:
    """The same network, held still: the same mean, from fewer draws for the same error.

    Of single rows, as the bound is: means over a batch are learned from wider noise too.
    """
    measured = {}
    for times in ("uniform", "importance"):
        torch.manual_seed(0)
        table = discrete.linear(20)
        denoiser = NetworkDenoiser(VectorMLP(2, 8, 1), parameterisations.v)
        recipe = TrainingSettings(
            steps=300, batch_size=64, learning_rate=1e-12, log_every=1, times=times,
            weighting="variational", reference=0,
        )  # fmt: skip
        data = torch.randn(64, 2, generator=torch.Generator().manual_seed(1))
        records = list(train(regression_training(denoiser, table, data, recipe, seed=0)))[20:]
        measured[times] = torch.tensor([record.loss for record in records]).double()
    uniform, importance = measured["uniform"], measured["importance"]
    error = ((uniform.var() + importance.var()) / len(uniform)).sqrt()
    assert abs(float(uniform.mean() - importance.mean())) < 4 * float(error)
    assert float(importance.std()) < float(uniform.std()) / 3


class _ExactMean(nn.Module):
    """Answers the exact eps of N(0.5, 0.6²), and what it has learned of each step's variance."""

    def __init__(self, alpha_bar: Tensor) -> None:
        super().__init__()
        self.alpha_bar = alpha_bar
        self.interpolation = nn.Parameter(torch.zeros(len(alpha_bar)))

    def forward(self, x: Tensor, step: Tensor) -> Tensor:
        alpha_bar = self.alpha_bar[step - 1, None]
        offset = x - alpha_bar.sqrt() * 0.5
        eps = (1 - alpha_bar).sqrt() * offset / (0.36 * alpha_bar + 1 - alpha_bar)
        return torch.cat([eps, self.interpolation[step - 1, None]], 1).float()


def test_training_finds_the_optimal_variance_of_gaussian_data() -> None:
    """Bao et al. (2022): beta_tilde + (coefficient of x_0)² Var(x_0 | x_t)."""
    beta = torch.linspace(0.02, 0.6, 6, dtype=torch.float64)
    alpha_bar = (1 - beta).cumprod(0)
    table = discrete.from_beta(beta)
    network = _ExactMean(alpha_bar)
    denoiser = NetworkDenoiser(network, parameterisations.eps, step_of(table), learns_variance=True)
    data = 0.5 + 0.6 * torch.randn(20_000, 1, generator=torch.Generator().manual_seed(1))
    recipe = TrainingSettings(steps=250, batch_size=1024, learning_rate=0.05, warmup=0)
    list(train(regression_training(denoiser, table, data, recipe, seed=0)))

    before, noisy = alpha_bar[:-1], 1 - alpha_bar[1:]
    tilde = (1 - before) / noisy * beta[1:]
    left = 0.36 * noisy / (0.36 * alpha_bar[1:] + noisy)
    best = tilde + before * (beta[1:] / noisy) ** 2 * left
    optimal = (best / tilde).log() / (beta[1:] / tilde).log()
    learned = (network.interpolation.detach()[1:] + 1) / 2
    assert float((optimal - 0.5).abs().max()) > 0.2  # where it began
    torch.testing.assert_close(learned.double(), optimal, rtol=0, atol=0.04)
    assert (
        float(network.interpolation.detach()[0]) == 0
    )  # the step to clean has beta_1, whatever is said


def test_a_learned_variance_needs_a_table() -> None:
    denoiser = NetworkDenoiser(VectorMLP(2, 8, 1), parameterisations.edm, learns_variance=True)
    with pytest.raises(ArgumentError, match=r"process\.num_levels"):
        regression_training(denoiser, Cosine(), torch.zeros(9, 2), TrainingSettings(), seed=0)


class _Means:
    """The least objective: the network's weights become the mean of the rows."""

    min_rows, numbers_per_row, is_adaptive = 0, 2, False

    def draw(self, size: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        return ()

    def batch(self, data: Any, index: Tensor, own: slice, draws: tuple[Tensor, ...]) -> Tensor:
        rows: Tensor = data[index[:, own].flatten()]
        return rows

    def prepared(self, denoiser: NetworkDenoiser, batch: Tensor) -> Tensor:
        return batch

    def losses(self, denoiser: NetworkDenoiser, batch: Tensor) -> Tensor:
        (weights,) = denoiser.network.parameters()
        return (batch - weights).square().mean(1)

    def tensors(self) -> dict[str, Tensor]:
        return {}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        pass


def test_a_thread_draws_no_more_when_a_training_is_restored() -> None:
    """Batches of one number each, which a thread draws slowly, as it does ahead of a GPU."""

    class Drawn(list[float]):
        def to(self, device: object) -> "Drawn":
            return self

    class Slow(_Means):
        numbers_per_row = loop._PREPARED

        def draw(self, size: int, generator: torch.Generator) -> tuple[Tensor, ...]:
            time.sleep(0.1)
            return (torch.rand(size, generator=generator),)

        def batch(self, data: Any, index: Tensor, own: slice, draws: tuple[Tensor, ...]) -> Any:
            return Drawn(draws[0].tolist())

    data, recipe = torch.zeros(4, 1), TrainingSettings(steps=5, batch_size=1)
    denoiser = NetworkDenoiser(nn.ParameterList([torch.zeros(1)]), parameterisations.x_0)
    training = Training(denoiser, Slow(), data, recipe, seed=0)
    start = training.tensors(), training.numbers()
    straight = list(training.batches(5))
    training.device = SimpleNamespace(type="other")  # type: ignore[assignment]
    for taken in (1, 2):
        training.restore(*start)
        assert list(training.batches(taken)) == straight[:taken]
    training.restore(*start)
    assert list(training.batches(5)) == straight
    training.close()


def test_an_objective_of_ones_own_is_minimised() -> None:
    network = nn.ParameterList([torch.zeros(2)])
    data = torch.randn(256, 2, generator=torch.Generator().manual_seed(1)) + 3
    recipe = TrainingSettings(steps=400, batch_size=256, learning_rate=0.05, optimizer="adam")
    denoiser = NetworkDenoiser(network, parameterisations.x_0)
    list(train(Training(denoiser, _Means(), data, recipe, seed=0)))
    torch.testing.assert_close(network[0].detach(), data.mean(0), rtol=0, atol=1e-3)


@pytest.mark.parametrize("settings", [{}, {"reference": 128}, {"times": "importance"}])
def test_how_many_steps_are_prepared_together_changes_nothing(settings: dict[str, Any]) -> None:
    one, other = _training(log_every=1, **settings), _training(log_every=60, **settings)
    list(train(one))
    list(train(other))
    _assert_same(_weights(one), _weights(other))


def test_a_reference_makes_the_same_target_quieter() -> None:
    """For N(0, 1) the loss is that of the target's noise alone, and most of it is gone."""
    noisy, quiet = _training(rows=2000), _training(rows=2000, reference=1024)
    losses = [list(train(each))[-1].loss for each in (noisy, quiet)]
    assert losses[0] == pytest.approx(1.0, abs=0.25)
    assert losses[1] < 0.1


def test_the_seed_decides_everything() -> None:
    one, same, other = _training(seed=3), _training(seed=3), _training(seed=4)
    for each in (one, same, other):
        list(train(each))
    _assert_same(_weights(one), _weights(same))
    assert not torch.equal(
        one.tensors()["network.output_proj.weight"], other.tensors()["network.output_proj.weight"]
    )


def test_a_pass_shows_no_row_twice_and_what_is_left_of_it_is_shuffled_again() -> None:
    training = _training(rows=150)
    training.data = torch.arange(150.0).unsqueeze(1)
    batches = [training.next_rows().flatten().tolist() for _ in range(40)]
    assert {len(batch) for batch in batches} == {64}
    for first, second in pairwise(batches[0:4]):
        assert first != second
    for k in range(0, 40, 2):
        assert len({*batches[k], *batches[k + 1]}) == 128
    assert {*chain.from_iterable(batches)} == set(range(150))


def test_fewer_rows_than_a_batch_are_repeated_to_fill_it() -> None:
    training = _training(rows=30)
    training.data = torch.arange(30.0).unsqueeze(1)
    batches = [training.next_rows().flatten().tolist() for _ in range(2)]
    seen = Counter(chain.from_iterable(batches))
    assert set(seen.values()) <= {4, 5}  # each batch is 64 of three passes over 30
    assert sum(seen.values()) == 128


def test_epochs_are_passes_over_the_rows() -> None:
    settings = TrainingSettings(epochs=4000, batch_size=128)
    assert num_steps(settings, 10_000) == 4000 * 79  # 78.125 batches of 128
    assert num_steps(TrainingSettings(steps=17), 10_000) == 17


def test_the_loss_reaches_its_floor_on_a_gaussian() -> None:
    """For N(0, 1) and a VP level, x_t and the edm target are independent; its variance is 1."""
    training = _training(rows=20_000, steps=400, batch_size=512, width=32)
    records = list(train(training))[-15:]
    assert sum(record.loss for record in records) / 15 == pytest.approx(1.0, abs=0.05)


def test_a_table_trains_the_tutorials_network_with_eps() -> None:
    table = discrete.sigmoid(100)
    torch.manual_seed(0)
    denoiser = NetworkDenoiser(StepMLP(2, 100), parameterisations.eps, step_of(table))
    recipe = TrainingSettings(
        steps=300,
        batch_size=128,
        reference=0,
        optimizer="adam",
        learning_rate=1e-3,
        times="antithetic",
    )
    data = torch.randn(2000, 2, generator=torch.Generator().manual_seed(1))
    records = list(train(regression_training(denoiser, table, data, recipe, seed=0)))
    # The floor on N(0, 1) under this table is 0.9355 (mean alpha_bar); the start is about 1.1.
    assert 0.85 < records[-1].loss < 1.03


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_rows_that_are_not_finite_are_a_diverged_loss(value: float) -> None:
    data = torch.randn(2000, 2, generator=torch.Generator().manual_seed(1))
    data[7, 1] = value
    denoiser = NetworkDenoiser(VectorMLP(2, 8, 1), parameterisations.edm)
    recipe = TrainingSettings(steps=40, batch_size=64, reference=64)
    training = regression_training(denoiser, Cosine(), data, recipe, seed=0)
    with pytest.raises(DivergedError):
        list(train(training))


def test_a_loss_that_is_not_finite_stops_before_the_weights_change() -> None:
    training = _training()
    records = train(training)
    next(records)
    before = {k: v for k, v in _weights(training).items() if k.startswith(("network", "average"))}
    assert isinstance(training.data, Tensor)
    training.data = torch.full_like(training.data, float("nan"))
    training.restore(training.tensors(), training.numbers())  # prepares the steps anew
    told = r"step 8.*start again with --set training\.learning_rate=0\.0033\. .* is whole"
    with pytest.raises(DivergedError, match=told):
        next(records)
    after = {k: v for k, v in _weights(training).items() if k.startswith(("network", "average"))}
    _assert_same(before, after)


def test_the_learning_rate_warms_up_and_falls_to_zero() -> None:
    settings = TrainingSettings(learning_rate=1.0, warmup=9, decay="cosine")
    rates = [learning_rate(step, 1000, settings) for step in range(1000)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == pytest.approx(1.0, abs=1e-3)
    assert rates[500] == pytest.approx(0.5)
    assert rates[-1] == pytest.approx(0.0, abs=1e-5)
    constant = TrainingSettings(learning_rate=1.0, warmup=0, decay="constant")
    assert {learning_rate(step, 1000, constant) for step in range(1000)} == {1.0}


@pytest.mark.parametrize("setting", ["times", "weighting"])
def test_unknown_names_offer_the_nearest(setting: str) -> None:
    settings: dict[str, Any] = {setting: {"times": "antitetic", "weighting": "simpel"}[setting]}
    with pytest.raises(ArgumentError, match="did you mean"):
        _training(**settings)


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    checkpoint.save(
        tmp_path, _training(width=16).tensors(), {"step": 7, "position": 0, "averaged": 7}
    )
    with pytest.raises(RunError, match="another network"):
        _training(width=17).restore(*checkpoint.load(tmp_path))


def test_the_next_batch_is_made_while_one_is_in_use() -> None:
    second_begun = threading.Event()

    def made() -> Iterator[Any]:
        yield 1
        second_begun.set()
        yield 2
        raise DivergedError("no third")

    items = ahead(made())
    assert next(items) == 1
    assert second_begun.wait(10)  # nobody has asked for it yet
    assert next(items) == 2
    with pytest.raises(DivergedError, match="no third"):
        next(items)


def test_convolutions_give_the_same_sums_while_learning_and_the_callers_choice_comes_back() -> None:
    for before in (False, True):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.backends.cudnn, "deterministic", before)
            with _training().learning():
                assert torch.backends.cudnn.deterministic
            assert torch.backends.cudnn.deterministic is before
