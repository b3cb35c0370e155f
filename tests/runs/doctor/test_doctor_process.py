"""The doctor's look at a process, against the published figures and closed forms."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from sfumato.config import ProcessSettings
from sfumato.errors import ArgumentError
from sfumato.process import discrete
from sfumato.process.process import DiscreteProcess
from sfumato.runs.doctor.process import (
    Finding,
    come_out,
    detail,
    examine_process,
    start_mismatch,
)

MEAN, STD = torch.tensor([1.0]).double(), torch.tensor([0.5]).double()


def found(rows: torch.Tensor | None = None, **settings: object) -> dict[str, Finding]:
    process = ProcessSettings.model_validate(settings)
    return {each.title: each for each in examine_process(process, rows)}


@pytest.mark.parametrize(
    ("schedule", "mean", "std"),
    # CHECKS: ancestral sampling (beta_tilde) from N(0, 1), exact denoiser of N(1, 0.25).
    [
        (discrete.sigmoid(), 0.53301, 0.63828),
        (discrete.linear(50, reference_levels=50), 0.72482, 0.54020),
        (discrete.linear(), 0.99999, 0.49611),
    ],
)
def test_what_the_mismatch_does_to_mean_and_deviation(
    schedule: discrete.DiscreteSchedule, mean: float, std: float
) -> None:
    at, deviation = come_out(MEAN, STD, DiscreteProcess(schedule))
    assert float(at) == pytest.approx(mean, abs=5.1e-6)
    assert float(deviation) == pytest.approx(std, abs=5.1e-6)


def test_the_first_term_of_the_bound() -> None:
    # CHECKS: L_T alone 0.849797 for N(1, 0.25) under the tutorial's table; and for x_0² = 1 under
    # the linear one 2.91129454e-5 bits.
    end = DiscreteProcess(discrete.sigmoid()).noisiest
    assert start_mismatch(MEAN, STD, end) == pytest.approx(0.849797, abs=5.1e-7)
    unit = start_mismatch(
        torch.zeros(1).double(), torch.ones(1).double(), DiscreteProcess(discrete.linear()).noisiest
    )
    assert unit / math.log(2) == pytest.approx(2.91129454e-5, rel=1e-7)


def test_a_process_that_stops_early_is_a_fault_with_its_numbers() -> None:
    fault = found(schedule="sigmoid", num_levels=100)["The start is not where the process ends"]
    assert fault.number == "L_T = 0.850 nats"
    assert "alpha_bar is 0.778" in fault.sentence
    assert "means 0.533 and deviations 0.638" in fault.sentence
    assert not fault.sound


@pytest.mark.parametrize(
    "settings",
    [{"schedule": name} for name in ("cosine", "linear", "ve", "edm", "rectified-flow", "laplace")]
    + [{"schedule": "linear", "num_levels": n} for n in (50, 1000)],
)
def test_a_process_that_ends_in_noise_is_sound(settings: dict[str, Any]) -> None:
    assert all(each.sound for each in found(**settings).values())


def test_betas_meant_for_another_number_of_levels() -> None:
    faults = found(schedule="linear", num_levels=50, options={"reference_levels": 50})
    told = faults["T was changed, but not beta"]
    # CHECKS: T = 50 not rescaled ends at 0.602952, rescaled at 7.7448e-6.
    assert told.number == "alpha_bar_T = 0.603"
    assert "7.74e-06" in told.sentence
    assert "T was changed, but not beta" not in found(schedule="linear", num_levels=50)


def line(width: float) -> torch.Tensor:
    """20,000 points along a tilted line of length 2, blurred across it."""
    rng = np.random.default_rng(0)
    along, across = rng.uniform(-1, 1, 20_000), width * rng.standard_normal(20_000)
    turn = np.array([[0.6, 0.8], [-0.8, 0.6]])
    return torch.from_numpy(np.stack([along, across], 1) @ turn)


@pytest.mark.parametrize("width", [0.003, 0.01])
def test_the_finest_detail_of_a_thin_line_is_its_width(width: float) -> None:
    assert detail(line(width)) == pytest.approx(width, rel=0.25)


@pytest.mark.parametrize(("width", "sound"), [(0.02, True), (0.002, False)])
def test_least_noise_beside_the_detail(width: float, sound: bool) -> None:
    # The cosine's least noise is e^-5 = 0.0067.
    titles = {title: each.sound for title, each in found(line(width)).items()}
    assert titles.get("The least noise is below the data's detail", False) is sound
    assert titles.get("The least noise hides the data's detail", sound) is sound


def test_repeated_and_few_rows_have_a_detail_too() -> None:
    rows = torch.tensor([[0.0, 0.0], [1.0, 3.0], [0.0, 0.0]]).double()
    assert 0 < detail(rows) < 3
    assert detail(line(0.01).repeat(2, 1)) == pytest.approx(detail(line(0.01)), rel=0.3)


@pytest.mark.parametrize(("std", "sound"), [(1.0, True), (0.05, False), (30.0, False)])
def test_scale_of_the_data(std: float, sound: bool) -> None:
    rows = std * torch.randn(2000, 2, generator=torch.Generator().manual_seed(0)).double()
    titles = {title: each.sound for title, each in found(rows).items() if "scaled" in title}
    assert list(titles.values()) == [sound]


def test_unknown_schedules_are_told() -> None:
    with pytest.raises(ArgumentError, match="unknown schedule"):
        list(examine_process(ProcessSettings(schedule="cosmic")))


def test_matching_moments_do_not_hide_a_start_that_is_wrong() -> None:
    # CHECKS: data of mean 0 and variance 1 hide the prior's mismatch.
    rows = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0)).double()
    fault = found((rows - rows.mean(0)) / rows.std(0), schedule="sigmoid", num_levels=100)[
        "The start is not where the process ends"
    ]
    assert "happen to be those of the start" in fault.sentence
    assert "come out" not in fault.sentence


def test_many_columns_are_no_fault_of_their_own() -> None:
    rows = torch.randn(500, 60, generator=torch.Generator().manual_seed(0)).double()
    assert found(rows, schedule="ve")["The start is where the process ends"].sound


@pytest.mark.parametrize("schedule", ["cosine", "ve", "edm", "linear", "laplace", "sigmoid"])
def test_every_remedy_can_be_followed(schedule: str) -> None:
    # What it says to set is a setting of that schedule, and mends the fault.
    fault = found(line(1e-4), schedule=schedule)["The least noise hides the data's detail"]
    name, value = fault.remedy.partition("process.options.")[2].split("=")
    assert found(line(1e-4), schedule=schedule, options={name: float(value)})


def test_a_schedule_cut_short_is_told_its_own_option() -> None:
    short = {"schedule": "cosine", "options": {"log_snr_min": -1.0}}
    fault = found(**short)["The start is not where the process ends"]  # type: ignore[arg-type]
    assert "process.options.log_snr_min=-10" in fault.remedy
