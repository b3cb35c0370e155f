"""Runs on pictures, as a user makes them: fit, stop, resume, sample, fill in, write, report."""

import html
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from subjects import quick

import sfumato
from command_line import leave
from quick import blank_figures, small_chunks
from sfumato.data.codecs.images import ImageCodec
from sfumato.data.images import Images, digits
from sfumato.data.io.images import read_image
from sfumato.data.io.picture_arrays import as_images
from sfumato.data.io.sheets import write_images
from sfumato.denoisers.guidance import ClassLabels
from sfumato.errors import ArgumentError, DataError, ForeignWarning, SfumatoError
from sfumato.models.gaussian import GaussianModel
from sfumato.runs import kinds
from sfumato.runs.figures import common, images
from sfumato.runs.figures.common import Shown
from sfumato.runs.fit import begin, finish, prepare, resolve, resume
from sfumato.runs.job import fitting
from sfumato.runs.report import write_report
from sfumato.runs.run import Run, open_run
from sfumato.training.regression import AskedRows

TINY: dict[str, Any] = {
    "network.width": 8,
    "network.options": {"multipliers": [1, 1]},
    "training.steps": 10,
    "training.warmup": 0,
    "training.learning_rate": 0.02,
    "training.average": 0.5,
    "training.batch_size": 16,
    "training.log_every": 2,
    "training.snapshots": 1,
    "sampling.steps": 3,
    "threads": 1,
}
SET = (
    " ".join(f"--set {name}={value}" for name, value in TINY.items() if name != "network.options")
    + " --set network.options.multipliers=[1,1]"
)


@pytest.fixture(scope="module", autouse=True)
def few() -> Iterator[None]:
    """Few frames, and features of any kind: what these are good for is tested in metrics."""
    with quick():
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("runs") / "digits"
    settings = TINY | {"data.labels": True, "training.flip": True}
    return sfumato.fit("digits", out=out, settings=settings, quiet=True)


def test_samples_are_bytes_and_the_first_of_more(run: Run) -> None:
    many = run.sample(70, seed=3)
    assert many.shape == (70, 8, 8, 1)
    assert many.dtype == np.uint8
    np.testing.assert_array_equal(run.sample(5, seed=3), many[:5])
    np.testing.assert_array_equal(run.sample(4, seed=3, first=66), many[66:])
    assert run.sample(0).shape == (0, 8, 8, 1)


def test_labels_are_those_of_the_samples(run: Run) -> None:
    drawn = run.model.labels(70, seed=3)
    assert drawn is not None
    np.testing.assert_array_equal(run.model.labels(4, seed=3, first=66), drawn[66:])
    every = run.model.labels(640)
    assert every is not None
    assert np.bincount(every, minlength=10).min() > 50  # digits come as often as one another
    k = int(drawn[2])
    np.testing.assert_array_equal(
        run.sample(3, seed=3, given={"class": k})[2], run.sample(3, seed=3)[2]
    )
    np.testing.assert_array_equal(
        run.sample(2, given={"class": k}), run.sample(2, given={"class": str(k)})
    )
    assert not np.array_equal(run.sample(2, given={"class": 1}), run.sample(2, given={"class": 2}))


def test_guidance_one_changes_nothing_and_two_does(run: Run) -> None:
    four = {"class": 4}
    plain = run.sample(3, given=four)
    np.testing.assert_array_equal(run.sample(3, given=four, guidance=1.0), plain)
    assert not np.array_equal(run.sample(3, given=four, guidance=9.0), plain)
    outside = run.sample(3, given=four, guidance=9.0, guidance_interval=(50.0, 60.0))
    np.testing.assert_array_equal(outside, plain)


@pytest.mark.parametrize(("label", "told"), [("seven", "unknown class"), (10, "0 to 9")])
def test_an_unknown_class_is_refused(run: Run, label: Any, told: str) -> None:
    with pytest.raises(ArgumentError, match=told):
        run.sample(1, given={"class": label})


def test_a_saved_model_draws_the_same(run: Run) -> None:
    assert run.folder is not None
    np.testing.assert_array_equal(open_run(run.folder).sample(2), run.sample(2))


def test_resuming_is_bit_exact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    changes = TINY | {"data.labels": True, "training.flip": True, "training.checkpoint_every": 2}
    settings, data = resolve("digits", changes)
    with begin(settings, data, "stopped") as job:
        list(islice(fitting(job), 2))
    with resume(Path("stopped")) as job:
        assert job.training.step == 4
        again = finish(job, quiet=True)
    whole = sfumato.fit("digits", out="whole", settings=changes, quiet=True)
    for name, value in whole.model.denoiser.network.state_dict().items():
        assert torch.equal(again.model.denoiser.network.state_dict()[name], value), name


def test_mirrored_pictures_have_numbers_of_their_own() -> None:
    pictures = as_images(digits().pixels)
    settings, data = resolve(pictures, TINY | {"training.flip": True})
    training, model = prepare(settings, data)
    assert isinstance(model, GaussianModel)
    assert model.class_labels == ClassLabels(0, mirrored=True)
    batch = next(training.batches(1))
    assert isinstance(batch, AskedRows)
    assert batch.rows.condition is not None
    assert set(batch.rows.condition.tolist()) == {0, 1}
    # Each picture is among those to learn from, mirrored where its number says so.
    known = {each.tobytes() for each in data.train.values}
    for x, number in zip(batch.rows.x_0, batch.rows.condition, strict=True):
        upright = x.flip(-1) if number else x
        assert model.codec.decode(upright[None]).tobytes() in known


def test_a_share_of_the_labels_is_hidden_and_the_others_are_their_pictures() -> None:
    changes = {"data.labels": True, "training.label_dropout": 0.3, "training.batch_size": 500}
    settings, data = resolve("digits", TINY | changes)
    training, model = prepare(settings, data)
    assert isinstance(model, GaussianModel)
    assert isinstance(data.train, Images)
    assert data.train.labels is not None
    known = {
        each.tobytes(): k for each, k in zip(data.train.values, data.train.labels, strict=True)
    }
    hidden = 0
    for batch in training.batches(4):
        assert isinstance(batch, AskedRows)
        assert batch.rows.condition is not None
        for x, number in zip(batch.rows.x_0, batch.rows.condition.tolist(), strict=True):
            if number == model.class_labels.any:
                hidden += 1
            else:
                assert number == known[model.codec.decode(x[None]).tobytes()]
    assert hidden / 2000 == pytest.approx(0.3, abs=0.045)  # four deviations of a binomial


def test_what_is_known_is_kept_pixel_by_pixel(run: Run) -> None:
    rows = run.load_data().train.values[:3]
    known = np.zeros(rows.shape, bool)
    known[:, :, :4] = True
    filled = run.complete(rows, known, times=2)
    np.testing.assert_array_equal(filled[known], rows[known])
    other = rows.copy()
    other[~known] = 0  # what is not known is not looked at
    np.testing.assert_array_equal(run.complete(other, known, times=2), filled)
    with pytest.raises(DataError, match="True or False"):
        run.complete(rows, known[:1])
    with pytest.raises(DataError, match="True or False"):
        run.complete(rows, known.astype(int))


def test_an_interpolation_ends_at_its_samples(run: Run) -> None:
    # Of one class, as the rows of an interpolation would else have classes of their own.
    between = run.interpolate(1, 66, 4, given={"class": 5})
    samples = run.sample(67, sampler="dpm++2m", given={"class": 5})
    np.testing.assert_allclose(between[[0, -1]].astype(int), samples[[1, 66]], atol=1)
    assert not np.array_equal(between[1], between[0])
    assert len(run.interpolate(0, 1, 65, steps=2)) == 65
    with pytest.raises(ArgumentError, match="in 2 or more pictures; got 0, 1 and 1"):
        run.interpolate(0, 1, 1)


def test_a_sample_that_is_given_is_the_one_that_is_measured(run: Run) -> None:
    real = run.real_sets()
    n = len(real.reference)
    drawn = run.sample(n)
    fresh = {each.name: each for each in run.evaluate().measures}
    given = {each.name: each.value for each in run.evaluate(sample=drawn).measures}
    # Whether a picture is of the class that was asked for is known of fresh ones alone.
    assert set(fresh) - set(given) == {"label_errors"}
    assert given == {name: fresh[name].value for name in given}
    labels = run.model.labels(n)
    assert labels is not None
    labelled = {
        each.name: each.value for each in run.evaluate(sample=drawn, labels=labels).measures
    }
    assert labelled == {name: each.value for name, each in fresh.items()}
    with pytest.raises(ArgumentError, match=f"`labels` are of {n - 1} pictures; {n} are given"):
        run.evaluate(sample=drawn, labels=labels[1:])
    same = {each.name: each.value for each in run.evaluate(sample=real.reference.values).measures}
    assert same["frechet"] == pytest.approx(0, abs=1e-6)
    assert fresh["frechet"].value > 0.01
    with pytest.raises(DataError, match=f"{n} pictures are needed to measure; got 5"):
        run.evaluate(sample=drawn[:5])
    with pytest.raises(DataError, match="8 x 8"):
        run.evaluate(sample=np.zeros((n, 9, 9, 1), np.uint8))


def test_bits_of_noise_are_eight_a_number(tmp_path: Path) -> None:
    # Uniform bytes cannot be told in fewer than 8 bits each, and an untrained model needs more.
    pixels = np.random.default_rng(0).integers(0, 256, (60, 4, 4, 1), dtype=np.uint8)
    plain = sfumato.fit(pixels, out=tmp_path / "noise", settings=TINY, quiet=True)
    assert isinstance(plain.model, GaussianModel)
    with small_chunks():
        terms = list(plain.model.variational_bound(pixels[:4], num_levels=100))
        nats = plain.log_prob(pixels[:4], steps=10)
    assert 8 < float(torch.cat([part.bits_per_dimension for part in terms]).mean()) < 16
    assert float(-nats.mean()) / (16 * np.log(2)) > 8 - 0.1


def test_bits_of_deep_noise_are_twelve_a_number_and_samples_are_of_the_range(
    tmp_path: Path,
) -> None:
    # As above, of 12 bits: by the flow and by the bound no less than the entropy.
    pixels = np.random.default_rng(0).integers(0, 4096, (60, 4, 4, 5), dtype=np.uint16)
    settings = TINY | {"data.range": [0, 4095], "data.channels": "last"}
    sfumato.fit(pixels, out=tmp_path / "deep", settings=settings, quiet=True)
    run = open_run(tmp_path / "deep")
    assert isinstance(run.model, GaussianModel)
    with small_chunks():
        terms = list(run.model.variational_bound(pixels[:4], num_levels=50))
        nats = run.log_prob(pixels[:4], steps=5, probes=2)
        drawn = run.sample(8, steps=10)
    assert 12 < float(torch.cat([part.bits_per_dimension for part in terms]).mean()) < 20
    assert float(-nats.mean()) / (80 * np.log(2)) > 12 - 0.1
    assert (drawn.dtype, drawn.shape[1:]) == (np.uint16, (4, 4, 5))
    assert drawn.max() <= 4095
    assert drawn.std() > 500  # of 1182 for uniform ones
    run.model.codec.encode(drawn)
    with pytest.raises(DataError, match=r"from 0 to 5000, outside of data\.range=\[0,4095\]"):
        run.log_prob(np.linspace(0, 5000, 80).astype(np.uint16).reshape(1, 4, 4, 5))


def test_an_export_says_that_pictures_of_diffusers_are_bytes(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 4096, (30, 4, 4, 1), dtype=np.uint16)
    settings = TINY | {"data.range": [0, 4095], "training.steps": 1, "network.width": 32}
    settings |= {"network.options": {"multipliers": [1], "attention": []}}
    run = sfumato.fit(pixels, out=tmp_path / "run", settings=settings, quiet=True)
    with pytest.warns(ForeignWarning, match=r"what is 0 to 4095 here is 0 to 255 there"):
        run.export("diffusers", tmp_path / "their")


def test_a_density_of_decimals_is_in_their_own_unit(tmp_path: Path) -> None:
    # The same pictures in another unit: the same network, and a density that is 1000 times as thin.
    pixels = np.random.default_rng(0).random((30, 4, 4, 1)).astype(np.float32)
    nats = []
    for name, unit in (("one", 1), ("thousand", 1000)):
        settings = TINY | {"data.range": [0, unit], "training.steps": 2}
        run = sfumato.fit(pixels * unit, out=tmp_path / name, settings=settings, quiet=True)
        with small_chunks():
            nats.append(run.log_prob(pixels[:2] * unit, steps=2, probes=1))
    np.testing.assert_allclose(nats[0] - nats[1], 16 * np.log(1000), atol=0.01)


@pytest.mark.parametrize(
    ("size", "padded", "cut"),
    [
        ((28, 28), [], ""),
        ((30, 30), [(32, 32)], ""),
        ((100, 100), [(128, 128)], ""),
        ((30, 20), [(32, 24)], ", which takes the middle square of each"),
    ],
)
def test_pictures_that_cannot_be_exported_are_named_before_the_training(
    size: tuple[int, int], padded: list[tuple[int, int]], cut: str
) -> None:
    width, height = size
    pixels = np.random.default_rng(0).integers(0, 256, (12, height, width, 1), dtype=np.uint8)
    settings, data = resolve(pixels, {"training.steps": 1})
    said = kinds.images.describe(data, prepare(settings, data)[1])
    expected = [
        f"Of them: the network pads each to {across} x {down}, which diffusers does not; to export "
        f"to it, fit with --set data.size={max(across, down)}{cut}"
        for across, down in padded
    ]
    assert said[1:] == expected


def test_pictures_without_a_class_are_learned_as_of_any() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 4, 4, 1), dtype=np.uint8)
    labels = np.arange(40) % 3 - 1
    found = replace(as_images(pixels), labels=labels, classes=("a", "b"))
    changes = {"data.labels": True, "training.label_dropout": 0.0, "training.batch_size": 50}
    settings, data = resolve(found, TINY | changes)
    training, model = prepare(settings, data)
    assert isinstance(model, GaussianModel)
    bare = int((data.train.labels < 0).sum())
    assert isinstance(model.codec, ImageCodec)
    said = kinds.images.describe(data, model)
    assert said[1] == f"Of them: {bare} without a class, learned as of any"
    known = {each.tobytes(): k for each, k in zip(pixels, labels, strict=True)}
    batch = next(training.batches(1))
    assert isinstance(batch, AskedRows)
    assert batch.rows.condition is not None
    for x, number in zip(batch.rows.x_0, batch.rows.condition.tolist(), strict=True):
        label = known[model.codec.decode(x[None]).tobytes()]
        assert number == (model.class_labels.any if label < 0 else label)


def test_a_class_that_is_named_by_a_number_is_meant_by_it(tmp_path: Path) -> None:
    for name in ("2", "10", "30"):
        write_images(tmp_path / name, digits().pixels[:4])
    settings = TINY | {"data.labels": True, "training.steps": 1}
    _, model = prepare(*resolve(str(tmp_path), settings))
    assert isinstance(model, GaussianModel)
    assert model.codec.classes == ("2", "10", "30")
    for label in (2, "2", np.int64(2)):
        assert model.class_number({"class": label}) == 0
    assert model.class_number({"class": 10}) == model.class_number({"class": 1}) == 1


def test_the_page_speaks_of_pictures_and_names_its_features(run: Run) -> None:
    with blank_figures():
        path, evaluation = write_report(run, quiet=True)
    assert evaluation is not None
    page = path.read_text(encoding="utf-8")
    text = re.sub(r"data:image/[^\"]*", "", page.partition("<h2>Again</h2>")[0])
    assert page.count("data:image/gif") == 2
    assert page.count("data:image/png") == 9  # the eight figures, and the distances
    assert "180 pictures of each" in text
    assert html.escape(str(evaluation.features)) in text
    assert "small network trained here on the 10 classes" in text
    assert not re.search(r"\brows\b", text)
    examined = text.partition("<h2>What was examined</h2>")[2]
    assert "<td>Unseen pictures fare" in examined
    assert "<td>Samples are" in examined


def test_as_many_real_pictures_are_shown_as_generated_ones(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[dict[str, np.ndarray]] = []
    monkeypatch.setattr(images, "sheets", lambda parts: shown.append(dict(parts)))
    heldout = run.load_data().heldout
    assert heldout is not None
    for n in (5, 300):  # of 180 that were kept out, 64 at most are shown
        images.samples_figure(run, Shown(run.sample(n)))
        real, drawn = shown.pop().values()
        np.testing.assert_array_equal(real, heldout.values[: min(n, 64)])
        np.testing.assert_array_equal(drawn, run.sample(min(n, 64)))
    few = replace(run, data=replace(run.load_data(), heldout=as_images(heldout.values[:3])))
    images.samples_figure(few, Shown(run.sample(5)))
    assert [len(each) for each in shown.pop().values()] == [3, 3]


def _left(command: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = leave(command)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.filterwarnings("default::sfumato.errors.PictureWarning")
def test_the_commands_on_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(images, "ANIMATION_FRAMES", common.ANIMATION_FRAMES)
    monkeypatch.setattr(images, "PICTURES", 8)
    found = digits()
    assert found.labels is not None
    for k in (0, 1):
        Path("pictures").mkdir(exist_ok=True)
        write_images(Path("pictures") / "ab"[k], found.pixels[found.labels == k])
    (tmp_path / "pictures" / "a" / "bad.png").write_text("no")
    code, _, err = _left(f"fit pictures --out run {SET}", capsys)
    assert code == 3
    assert "1 of 361 pictures cannot be used: not a picture: a/bad.png" in err
    extra = "--set data.skip_bad=true --set data.labels=true"
    code, out, err = _left(f"fit pictures --out run {SET} {extra}", capsys)
    assert (code, err) == (0, "")
    assert "in 2 classes (a, b)" in out
    assert "Left out: a/bad.png: not a picture" in out
    assert "sfumato sample run -n 64 --to new.png" in out
    for command, made in {
        "sample run -n 9 --given class=b --guidance 2 --to nine.png": "nine.png",
        "sample run -n 3 --to three.npz": "three.npz",
        "sample run -n 3 --to files": "files/00002.png",
        "edit run pictures/a/00001.png --from 0.5 --to like.png": "like.png",
        "interpolate run 0 3 -n 4 --to between.png": "between.png",
        "animate run reverse --to reverse.gif": "reverse.gif",
        "plot run neighbours --to near.png": "near.png",
    }.items():
        with small_chunks():
            code, _, err = _left(command, capsys)
        assert (code, err) == (0, ""), command
        assert Path(made).is_file()
    with Image.open("between.png") as between:
        assert between.width > 3 * between.height  # in a row
    with Image.open("reverse.gif") as moving:
        assert getattr(moving, "n_frames", 1) == 100
    with np.load("three.npz") as arrays:
        assert set(arrays["labels"]) <= {0, 1}
    mask = np.zeros((8, 8), np.uint8)
    mask[4:] = 255
    Image.fromarray(mask).save("mask.png")
    code, out, err = _left("inpaint run pictures/a/00001.png mask.png --to filled.png", capsys)
    assert (code, err) == (0, "")
    assert "32 of 64 pixels are white in mask.png and made anew; the others stay" in out
    given, filled = (
        read_image(Path(each), 8, 8, 1) for each in ("pictures/a/00001.png", "filled.png")
    )
    np.testing.assert_array_equal(filled[:4], given[:4])
    Image.fromarray(mask).resize((32, 20)).save("large.png")
    Image.open("pictures/a/00001.png").resize((16, 16)).save("twice.png")
    code, _, err = _left("inpaint run twice.png large.png --to filled.png", capsys)
    assert (code, err.splitlines()) == (
        0,
        [
            "sfumato: twice.png has 16 x 16 pixels; it is resized to 8 x 8.",
            "sfumato: large.png has 32 x 20 pixels; its middle 20 x 20 is resized to 8 x 8.",
        ],
    )
    Image.fromarray(np.zeros((8, 8, 4), np.uint8)).save("clear.png")
    code, _, err = _left("inpaint run pictures/a/00001.png clear.png --to no.png", capsys)
    assert (code, "white nowhere, and transparent is not white" in err) == (3, True)
    code, out, _ = _left("score run pictures/a/00001.png --bound --json", capsys)
    assert code == 0
    code, out, _ = _left("evaluate run --json", capsys)
    assert code == 0
    assert "a small network trained here" in out


@pytest.mark.parametrize(
    ("command", "code", "told"),
    [
        ("sample {run} --to new.csv", 2, "pictures go to a sheet"),
        ("sample {run} --given class=11 --to a.png", 2, "0 to 9"),
        ("fit moons --set network.name=unet", 2, "not for points"),
        ("fit digits --set network.name=vector-mlp", 2, "not for pictures"),
        ("fit digits --set network.width=7", 2, "multiple of 4"),
        ("fit digits --set network.options.multipliers=[0]", 2, "`multipliers` are numbers"),
        ("fit digits --set network.options.depth=2", 2, "option of the network 'unet'"),
        ("fit digits --set data.labels=true --set training.reference=64", 2, "all classes"),
        ("fit digits --set training.target=x", 2, "training.target is a column of a table"),
        ("fit moons --set training.flip=true", 2, "mirrors pictures"),
        ("fit {empty} --out never", 3, "no picture that can be used"),
        ("edit {run} none.png --from 0.5 --to a.png", 3, "cannot read"),
        ("plot {run} trajectories --to a.png", 2, "unknown figure"),
    ],
)
def test_a_mistake_is_one_line(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    code: int,
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    filled = command.format(run=run.folder, empty=tmp_path / "empty")
    left, _, err = _left(filled, capsys)
    assert (left, err.count("\n")) == (code, 1), err
    assert told in err


def test_classes_are_not_for_points() -> None:
    with pytest.raises(SfumatoError, match="unknown column 'class'; known: x0, x1"):
        sfumato.fit(
            np.random.default_rng(0).normal(size=(50, 2)),
            settings={"training.steps": 1, "training.snapshots": 0},
            quiet=True,
        ).sample(1, given={"class": 3})
