"""Samplers side by side: what is counted, what is near the flow, and what a table allows."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest
import torch

from quick import small_chunks
from sfumato import fit
from sfumato.denoisers.mixture import GaussianMixture
from sfumato.errors import ArgumentError
from sfumato.metrics.distances import sliced_wasserstein_2
from sfumato.process.noise import NoiseLevel
from sfumato.process.streams import chunk_size, generator
from sfumato.runs import compare
from sfumato.runs.compare import (
    Comparison,
    Entry,
    compare_samplers,
    figure_of,
    fitted_mixture,
    pivoted,
)
from sfumato.runs.run import Run
from sfumato.samplers import SAMPLERS

QUICK = {"training.steps": 20, "training.snapshots": 0, "network.width": 16}


@pytest.fixture(scope="module", autouse=True)
def one_chunk() -> Iterator[None]:
    """Half of the rows that are drawn, and a reference of fewer steps, still far finer than 40."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compare, "_rows", lambda rows: chunk_size(rows.shape[1:]))
        patch.setattr(compare, "_REFERENCE_STEPS", 200)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> object:
    return tmp_path_factory.mktemp("runs")


def fitted(folder: object, name: str, **settings: object) -> Run:
    rows = np.random.default_rng(0).normal([0, 2], [1, 0.3], (900, 2))
    return fit(rows, out=f"{folder}/{name}", settings={**QUICK, **settings}, quiet=True)


@pytest.fixture(scope="module")
def both(folder: object) -> list[Comparison]:
    run = fitted(folder, "continuous")
    return [e for e in compare_samplers(run, (9, 20, 40)) if isinstance(e, Comparison)]


def exact(both: list[Comparison]) -> dict[str, list[Entry | None]]:
    return dict(pivoted(both[1]))


def test_calls_are_those_that_were_asked_for(both: list[Comparison]) -> None:
    for name, entries in exact(both).items():
        for entry, most in zip(entries, (9, 20, 40), strict=True):
            if name == "runge-kutta":
                assert entry is None or entry.num_calls <= most
            else:
                assert entry is not None
                assert most - 1 <= entry.num_calls <= most
                # Two calls a step but in the last. Heun's first steps may be too long to correct.
                assert entry.num_calls % 2 == 1 or name != "predictor-corrector"


def test_every_method_has_entries_or_a_reason(both: list[Comparison]) -> None:
    for each in both:
        assert {*pivoted(each)} | {*each.left_out} == {*SAMPLERS}
        assert each.left_out["euler"] == "the same as ddim"
        assert each.left_out["euler-ancestral"] == "the same as ancestral"


def test_with_an_exact_denoiser_higher_orders_are_nearer(both: list[Comparison]) -> None:
    flow = {
        name: [e.flow for e in row if e and e.flow is not None] for name, row in exact(both).items()
    }
    for name in ("ddim", "dpm++2m", "dpm++3m", "unipc", "heun"):
        assert flow[name] == sorted(flow[name], reverse=True)  # nearer with more calls
    assert flow["unipc"][-1] < flow["dpm++2m"][-1] < flow["ddim"][-1]
    # First order: twice the calls, half the error.
    assert flow["ddim"][1] / flow["ddim"][2] == pytest.approx(2, rel=0.3)


def test_methods_that_draw_noise_have_no_flow_but_reach_the_data(both: list[Comparison]) -> None:
    for name in ("ancestral", "dpm++2m-sde", "dpm++3m-sde", "predictor-corrector"):
        entries = exact(both)[name]
        assert all(entry is not None and entry.flow is None for entry in entries)
        assert entries[-1] is not None
        assert entries[-1].distance < 3 * both[1].floor[1]


def test_an_untrained_network_is_far_from_real_rows_and_the_exact_one_is_not(
    both: list[Comparison],
) -> None:
    ours, best = (pivoted(each)["unipc"][-1] for each in both)
    assert ours is not None
    assert best is not None
    assert ours.distance > 2 * best.distance
    assert ours.flow is not None  # but its own flow is followed as well
    assert ours.flow < 0.01


def test_one_stray_sample_does_not_decide(both: list[Comparison]) -> None:
    last = exact(both)["dpm++3m"][-1]
    assert last is not None
    assert last.flow is not None
    assert last.flow < 0.02


def test_a_table_ends_and_is_measured_once(folder: object) -> None:
    run = fitted(folder, "table", **{"process.num_levels": 10})
    with small_chunks():
        found = list(compare_samplers(run, (5, 10, 20, 40)))
    for each in found:
        if isinstance(each, Comparison):
            for name, entries in pivoted(each).items():
                calls = [entry.num_calls for entry in entries if entry is not None]
                assert len(set(calls)) == len(calls), name
                assert max(calls) <= (40 if name == "runge-kutta" else 20)
            row = pivoted(each)["unipc"]
            assert all(entry is None or (entry.flow or 0) > 0 for entry in row)


def test_what_is_measured_is_what_the_run_draws(folder: object) -> None:
    options: dict[str, object] = {"sampling.options": {"eta": 4.0}}
    run = fitted(folder, "noisy", **options)
    measured = {
        e.sampler: e for e in islice(compare_samplers(run, (6,)), 4) if isinstance(e, Entry)
    }
    rows = run.model.codec.encode(run.load_data().train.values).double()
    shuffled = rows[torch.randperm(len(rows), generator=generator(run.settings.seed))]
    real = shuffled[: len(rows) // 4].numpy()
    for name in ("ddim", "dpm++2m-sde"):
        entry = measured[name]
        drawn = run.sample(len(real), sampler=name, grid=entry.grid, steps=entry.num_calls)
        own = sliced_wasserstein_2(run.model.codec.encode(drawn).double().numpy(), real)
        assert entry.distance == pytest.approx(own, rel=1e-5)
    plain = run.sample(len(real), steps=6, options={"eta": 1.0})
    assert not np.allclose(plain, run.sample(len(real), steps=6))


def test_a_learned_variance_is_left_to_its_network(folder: object) -> None:
    changes: dict[str, object] = {
        "process.num_levels": 10,
        "network.learned_variance": True,
        "sampling.sampler": "ancestral",
        "sampling.options": {"variance": "learned"},
    }
    first = next(compare_samplers(fitted(folder, "learned", **changes), (6,)))
    assert isinstance(first, Entry)
    assert (first.sampler, first.num_calls) == ("ancestral", 6)


def test_a_network_of_steps_is_not_asked_between_them(folder: object) -> None:
    run = fitted(folder, "steps", **{"process.num_levels": 30, "network.name": "step-mlp"})
    with small_chunks():
        first, second = (e for e in compare_samplers(run, (6,)) if isinstance(e, Comparison))
    assert "runge-kutta" not in pivoted(first)
    assert first.left_out["runge-kutta"] == "asks between the levels that this network knows"
    assert second.left_out["runge-kutta"] == "needs more than 6 calls"
    assert "heun" in pivoted(first)


def test_the_picture_shows_every_method(both: list[Comparison]) -> None:
    figure = figure_of(both)
    figure.canvas.draw()
    flow, distance = figure.axes[:2]
    assert len(distance.lines) == len(pivoted(both[0]))
    assert len(flow.lines) == sum(
        any(e is not None and e.flow is not None for e in row) for row in pivoted(both[0]).values()
    )


def test_the_fitted_mixture_is_like_the_rows() -> None:
    rows = torch.from_numpy(np.random.default_rng(1).normal([3, -1], [0.5, 2], (3000, 2)))
    mixture = fitted_mixture(rows, 0)
    assert isinstance(mixture, GaussianMixture)
    drawn = mixture.draw(20_000, torch.Generator().manual_seed(0))
    assert torch.allclose(drawn.mean(0), rows.mean(0), atol=0.05)
    assert torch.allclose(drawn.std(0), rows.std(0), rtol=0.05)
    entropy = -float(mixture.log_density(rows, NoiseLevel.clean()).mean())
    assert entropy == pytest.approx(np.log(2 * np.pi * np.e * 0.5 * 2), abs=0.05)


@pytest.mark.parametrize("calls", [(), (0,), (5, -1)])
def test_numbers_of_calls_are_positive(moons: Run, calls: object) -> None:
    with pytest.raises(ArgumentError, match="at least 1"):
        list(compare_samplers(moons, calls))  # type: ignore[arg-type]
