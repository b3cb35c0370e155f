"""A fit that starts from the weights of another: what it takes, what must agree, what is said."""

import re
import shutil
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import sfumato
from fitted import SHORT, TINY, people, people_rows, squares
from sfumato.data.toy import draw
from sfumato.errors import ArgumentError, DataError, RunError
from sfumato.runs.fit import begin, finish, resolve, resume
from sfumato.runs.job import fitting
from sfumato.runs.run import Run
from sfumato.runs.start import Start, start_of


def _begun(source: Any, start: Start, out: Path, **changes: Any) -> tuple[nn.Module, list[str]]:
    """The network of a fit that has done no step, and what is said of it."""
    settings, data = resolve(source, changes, start=start)
    with begin(settings, data, out, start=start) as job:
        return job.training.drawing_network(last=False), list(job.notes)


def _same(network: nn.Module, other: nn.Module) -> bool:
    weights, others = network.state_dict(), other.state_dict()
    return weights.keys() == others.keys() and all(
        torch.equal(value, others[name]) for name, value in weights.items()
    )


def _frame(**changes: Any) -> pd.DataFrame:
    return pd.DataFrame(people() | changes)


# ---------------------------------------- what is taken


@pytest.mark.parametrize("kind", ["moons", "of_file", "of_table", "of_pictures"])
def test_before_the_first_step_the_weights_are_those_of_the_start(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    run: Run = request.getfixturevalue(kind)
    rows = {"of_table": people_rows(), "of_pictures": squares()}
    source = rows.get(kind, run.settings.data.source)
    network, notes = _begun(source, start_of(run), tmp_path / "new")
    assert _same(network, run.model.denoiser.network)
    assert notes[0] == f"Start: the weights of {run.folder}"


def test_a_model_file_is_a_start_too(moons: Run, tmp_path: Path) -> None:
    assert moons.folder is not None
    settings, made = {"training.steps": 5, "training.snapshots": 0}, []
    starts: list[Run | Path] = [moons, moons.folder, moons.folder / "model.safetensors"]
    for k, start in enumerate(starts):
        out = tmp_path / str(k)
        run = sfumato.fit("moons", start=start, out=out, settings=settings, quiet=True)
        assert run.settings.start.path == str(moons.folder if k < 2 else start)
        assert run.summary()["start"] == f"the weights of {run.settings.start.path}"
        made.append(run.model.denoiser.network)
    assert _same(made[0], made[1])
    assert _same(made[0], made[2])


def test_a_start_may_be_a_setting(moons: Run, tmp_path: Path) -> None:
    asked = {"training.steps": 5, "start.path": str(moons.folder)}
    run = sfumato.fit("moons", out=tmp_path / "1", settings=asked, quiet=True)
    again = sfumato.fit(
        "moons", start=moons, out=tmp_path / "2", settings={"training.steps": 5}, quiet=True
    )
    assert run.settings == again.settings
    assert _same(run.model.denoiser.network, again.model.denoiser.network)


def test_settings_are_the_start_s_but_for_those_of_the_data(moons: Run, tmp_path: Path) -> None:
    settings, _ = resolve("circles", {"training.batch_size": 32}, start=start_of(moons))
    own = moons.settings
    assert (settings.network, settings.process) == (own.network, own.process)
    assert settings.sampling == own.sampling
    assert settings.training.batch_size == 32
    assert settings.training.checkpoint_every == own.training.checkpoint_every
    assert settings.training.steps == 1000  # the recipe's; the start had 60
    assert not settings.training.past


@pytest.mark.parametrize(
    ("changes", "optimizer"),
    [({}, "muon"), ({"training.reference": 0}, "adamw"), ({"network.name": "own"}, "adamw")],
)
def test_muon_is_for_our_network_and_averaged_targets(
    changes: dict[str, Any], optimizer: str
) -> None:
    assert resolve("moons", changes)[0].training.optimizer == optimizer


def test_points_go_on_at_a_lower_rate_in_the_steps_of_their_optimizer(
    moons: Run, tmp_path: Path
) -> None:
    by_muon = TINY | {"training.optimizer": "muon", "training.steps": 1}
    other = sfumato.fit("moons", out=tmp_path / "other", settings=by_muon, quiet=True)
    for start, rows, steps in ((moons, 10_000, 1000), (other, 300, 400)):
        own = start.settings.training
        new = resolve(draw("moons", rows, seed=1), {}, start=start_of(start))[0].training
        assert (new.optimizer, new.batch_size) == (own.optimizer, own.batch_size)
        assert new.steps == steps
        assert new.learning_rate == pytest.approx(0.3 * own.learning_rate)


def test_close_rows_are_learned_in_fewer_steps(s_curve: Run, tmp_path: Path) -> None:
    """Nats by which the density misses the true one, which is known."""
    data = s_curve.load_data()
    offset = 0.3 * data.train.values.std(0) * [1, 0]
    rows, fresh = data.fresh(1, 5000) + offset, data.fresh(2, 1000)
    log_density = data.log_density()
    assert log_density is not None
    settings = {"training.steps": 200, "training.snapshots": 0}
    lost = [
        float(log_density(fresh).mean() - run.log_prob(fresh + offset).mean())
        for run in (
            sfumato.fit(rows, out=tmp_path / "alone", settings=settings, quiet=True),
            sfumato.fit(rows, start=s_curve, out=tmp_path / "on", settings=settings, quiet=True),
        )
    ]
    assert lost[1] < 0.7 * lost[0]


def test_the_scale_of_points_stays_the_start_s(moons: Run, tmp_path: Path) -> None:
    rows = moons.load_data().train.values
    scale = np.array(moons.model.codec.scale)
    settings = {"training.steps": 1, "training.snapshots": 0}
    run = sfumato.fit(
        rows + 2 * scale, start=moons, out=tmp_path / "new", settings=settings, quiet=True
    )
    assert run.model.codec.mean == moons.model.codec.mean
    assert run.model.codec.scale == moons.model.codec.scale
    _, notes = _begun(rows + 2 * scale, start_of(moons), tmp_path / "again")
    said = [float(number) for number in re.findall(r"-?\d[\d.]*", notes[1])]
    assert said == pytest.approx([2, 2, 1, 1], abs=0.1)


def test_a_column_that_stays_constant_may_have_another_value(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(200, 3)) * [1, 2, 0]
    start = sfumato.fit(rows, out=tmp_path / "start", settings=TINY, quiet=True)
    run = sfumato.fit(
        rows + np.array([0, 0, 7.5]), start=start, settings=TINY, out=tmp_path / "new", quiet=True
    )
    assert set(run.sample(5)[:, 2]) == {7.5}
    with pytest.raises(DataError, match="'x2' was constant there"):
        sfumato.fit(rows + np.eye(200, 3, -5) * 2, start=start, out=tmp_path / "other")


def test_rows_that_name_themselves_are_named_anew(tmp_path: Path) -> None:
    keys = [f"AB-{k * 7919 % 100_000:05d}" for k in range(280)]
    frame = _frame(key=keys)
    start = sfumato.fit(frame, out=tmp_path / "start", settings=SHORT, quiet=True)
    others = [f"XY-{k * 7919 % 100_000:05d}" for k in range(280)]
    run = sfumato.fit(
        frame.assign(key=others), start=start, out=tmp_path / "new", settings=SHORT, quiet=True
    )
    drawn = set(run.sample(50)["key"])
    assert {key[:2] for key in drawn} == {"XY"}
    assert not drawn & set(others)


def test_classes_of_pictures_may_be_others(tmp_path: Path) -> None:
    def folder(name: str, *classes: str) -> str:
        from PIL import Image

        for k, pixels in enumerate(squares(60)):
            place = tmp_path / name / classes[k % len(classes)]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels[..., 0]).save(place / f"{k}.png")
        return str(tmp_path / name)

    settings = SHORT | {"network.width": 16, "network.options": {"multipliers": [1]}}
    labels = {"data.labels": True, "training.steps": 3}
    first = sfumato.fit(
        folder("one", "cat", "dog"), out=tmp_path / "1", settings=settings | labels, quiet=True
    )
    other = folder("two", "cat", "emu", "fox")
    _, notes = _begun(other, start_of(first), tmp_path / "2")
    assert notes[1] == "Classes: cat as in the start; emu, fox new; dog left out"
    run = sfumato.fit(other, start=first, out=tmp_path / "3", settings=labels, quiet=True)
    assert run.model.codec.classes == ("cat", "emu", "fox")
    assert run.sample(2, given={"class": "emu"}).shape == (2, 4, 4, 1)


def test_a_network_of_one_s_own_is_a_start_in_python(of_file: Run, tmp_path: Path) -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 3)

        def forward(self, x: torch.Tensor, log_snr: torch.Tensor) -> torch.Tensor:
            level = (log_snr / 10).expand(len(x)).unsqueeze(1)
            return self.layer(torch.cat([x, level], dim=1))  # type: ignore[no-any-return]

    source = of_file.settings.data.source
    first = sfumato.fit(source, network=Own(), out=tmp_path / "1", settings=TINY, quiet=True)
    before = {k: v.clone() for k, v in first.model.denoiser.network.state_dict().items()}
    settings = {"training.steps": 5}
    run = sfumato.fit(source, start=first, out=tmp_path / "2", settings=settings, quiet=True)
    assert not _same(run.model.denoiser.network, first.model.denoiser.network)
    for name, value in first.model.denoiser.network.state_dict().items():
        assert torch.equal(value, before[name])  # the start's own are not trained
    assert sfumato.open(tmp_path / "2", network=Own()).sample(3).shape == (3, 3)
    with pytest.raises(ArgumentError, match="leave `network` and `process` out"):
        sfumato.fit(source, start=first, network=Own(), out=tmp_path / "3")
    with pytest.raises(RunError, match="network of the user's own"):
        sfumato.fit(source, start=tmp_path / "1", out=tmp_path / "3")


def test_a_schedule_of_one_s_own_is_a_start_in_python(tmp_path: Path) -> None:
    from sfumato.process.schedules import Cosine

    own = Cosine(shift=2.0)
    first = sfumato.fit("moons", process=own, out=tmp_path / "1", settings=TINY, quiet=True)
    settings = {"training.steps": 5, "training.snapshots": 0}
    run = sfumato.fit("moons", start=first, out=tmp_path / "2", settings=settings, quiet=True)
    levels = [each.model.process.at(torch.tensor(0.4)).log_snr for each in (run, first)]
    assert levels[0] == levels[1]


def test_a_model_without_a_folder_is_a_start_that_is_gone_later(moons: Run, tmp_path: Path) -> None:
    assert moons.folder is not None
    lone = sfumato.open(moons.folder / "model.safetensors")
    settings, data = resolve("moons", {}, start=(start := start_of(lone)))
    with begin(settings, data, tmp_path / "killed", start=start) as job:
        assert job.notes[0] == "Start: the weights of a model in memory"
    with pytest.raises(RunError, match="a model in memory, which is gone"):
        sfumato.resume(tmp_path / "killed")


# ---------------------------------------- resuming


@pytest.mark.parametrize("saved", [True, False])
def test_it_goes_on_bit_for_bit(saved: bool, of_file: Run, tmp_path: Path) -> None:
    source, start = of_file.settings.data.source, start_of(of_file)
    changes = {"training.steps": 30, "training.checkpoint_every": 10}
    straight = sfumato.fit(source, start=of_file, out=tmp_path / "1", settings=changes, quiet=True)
    settings, data = resolve(source, changes, start=start)
    with begin(settings, data, tmp_path / "2", start=start) as job:
        if saved:  # else it is killed before anything was
            list(islice(fitting(job), 2))
    with resume(tmp_path / "2") as job:
        assert job.training.step == 20 * saved
        again = finish(job, quiet=True)
    assert _same(again.model.denoiser.network, straight.model.denoiser.network)
    assert again.model.codec == straight.model.codec


def test_a_start_that_is_another_now_is_refused(own_moons: Run, tmp_path: Path) -> None:
    start = start_of(own_moons)
    settings, data = resolve("moons", {}, start=start)
    with begin(settings, data, tmp_path / "killed", start=start):
        pass
    assert own_moons.folder is not None
    sfumato.resume(own_moons.folder, settings={"training.steps": 80}, quiet=True)
    with pytest.raises(RunError, match="not the weights that this run starts from"):
        sfumato.resume(tmp_path / "killed")
    shutil.rmtree(own_moons.folder)
    with pytest.raises(RunError, match="there is no run folder"):
        sfumato.resume(tmp_path / "killed")


def test_the_file_of_a_start_need_not_stay(own_moons: Run, tmp_path: Path) -> None:
    assert own_moons.folder is not None
    settings = {"training.steps": 20, "training.snapshots": 0}
    sfumato.fit("moons", start=own_moons, out=tmp_path / "1", settings=settings, quiet=True)
    shutil.rmtree(own_moons.folder)
    run = sfumato.resume(tmp_path / "1", settings={"training.steps": 30}, quiet=True)
    assert run.records()[-1]["step"] == 30


# ---------------------------------------- what is refused


@pytest.mark.parametrize(
    ("changes", "phrase"),
    [
        ({"team": ["ancient"] * 280}, "'team' has the value 'ancient'"),
        ({"years": [None, *people()["years"][1:]]}, "'years' has the missing value"),
        ({"height": [9.0] * 280}, "'height': 280 of 280 values lie beyond"),
        ({"more": list(range(280))}, "it has no column 'more'; drop that (--column more=dropped)"),
        ({"years": [f"year {k}" for k in range(280)]}, "years"),
    ],
)
def test_rows_of_a_table_that_have_no_place_are_refused(
    of_table: Run, changes: dict[str, Any], phrase: str, tmp_path: Path
) -> None:
    with pytest.raises((DataError, ArgumentError)) as refused:
        sfumato.fit(_frame(**changes), start=of_table, out=tmp_path / "new", quiet=True)
    assert phrase in str(refused.value)
    assert not (tmp_path / "new").exists()


def test_a_missing_column_is_named_with_where_it_is_wanted(of_table: Run, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"'team'.*those of .*of-table \(--from\)"):
        sfumato.fit(_frame().drop(columns="team"), start=of_table, out=tmp_path / "new")


def test_other_pictures_are_refused(of_pictures: Run, tmp_path: Path) -> None:
    pixels = squares()
    for other, phrase in (
        (pixels.repeat(2, 1).repeat(2, 2), "4 x 4 pixels, and these 8 x 8; take --set data.size=4"),
        (pixels.repeat(3, 3), "have 1 channel, and these 3"),
        (pixels[:, :, :3], "4 x 4 pixels, and these 3 x 4"),
    ):
        with pytest.raises(DataError, match=phrase):
            sfumato.fit(other, start=of_pictures, out=tmp_path / "new")


def test_rows_far_away_are_refused(moons: Run, tmp_path: Path) -> None:
    rows = moons.load_data().train.values
    with pytest.raises(DataError, match=r"'x0' has mean .* in units of the start's"):
        sfumato.fit(rows + np.array([1000.0, 0]), start=moons, out=tmp_path / "new")


def test_a_network_that_knows_no_any_takes_no_picture_without_a_class(tmp_path: Path) -> None:
    labels = np.arange(180) % 2
    np.savez(tmp_path / "all.npz", pixels=squares(), labels=labels)
    labels[:60] = -1
    np.savez(tmp_path / "most.npz", pixels=squares(), labels=labels)
    settings = SHORT | {"data.labels": True, "network.width": 16, "training.label_dropout": 0.0}
    options = {"network.options": {"multipliers": [1], "any_class": False}}
    start = sfumato.fit(
        tmp_path / "all.npz", out=tmp_path / "1", settings=settings | options, quiet=True
    )
    with pytest.raises(DataError, match=r"\d+ pictures have no class"):
        sfumato.fit(tmp_path / "most.npz", start=start, out=tmp_path / "2", quiet=True)
