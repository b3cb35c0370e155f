"""Pictures of the explorer, as Python makes them: those of `run.sample` and `run.complete`."""

import json
import struct
from base64 import b64encode
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import sfumato
from sfumato import Run
from sfumato.errors import ArgumentError, SfumatoError
from sfumato.models.few import FewSteps
from sfumato.models.gaussian import GaussianModel
from sfumato.process.process import ContinuousProcess
from sfumato.process.schedules import VE
from sfumato.process.streams import SAMPLING, generator
from sfumato.runs.explorer import live_pictures
from sfumato.runs.explorer.calls import Abandoned, Listener
from sfumato.runs.explorer.messages import DrawPictures, FillPicture, request
from sfumato.runs.explorer.pictures import Pictures, carried, drawn

HALF = np.repeat(np.array([[0, 0, 1, 1]]), 4, axis=0).astype(np.uint8)


def unpacked(content: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The header and the arrays of what the page is sent."""
    (length,) = struct.unpack_from("<I", content)
    header = json.loads(content[4 : 4 + length])
    arrays = {
        name: np.ndarray(each["shape"], each["dtype"], content, 4 + length + each["offset"])
        for name, each in header["arrays"].items()
    }
    return header, arrays


@pytest.fixture(scope="module")
def shown(of_classes: Run) -> Pictures:
    return Pictures(sfumato.open(str(of_classes.folder)))


def test_the_last_stop_is_what_run_sample_draws(shown: Pictures, of_classes: Run) -> None:
    header, arrays = shown.draw(20, seed=3, label="below", guidance=2.5, steps=6)
    drawn = of_classes.sample(20, seed=3, given={"class": "below"}, guidance=2.5, steps=6)
    assert header["steps"] == 6
    assert header["labels"] == ["below"] * 20
    assert [each["step"] for each in header["stops"]] == [0, 1, 2, 3, 4, 5, 6]
    np.testing.assert_array_equal(arrays["noisy"][-1], drawn)
    np.testing.assert_array_equal(arrays["clean"][-1], drawn)


def test_the_stops_on_the_way_are_the_samplers_and_the_networks(
    shown: Pictures, of_classes: Run
) -> None:
    header, arrays = shown.draw(5, seed=1, steps=40)
    model: Any = of_classes.model
    frames = list(model.frames(5, seed=1, steps=40))
    stops = [each["step"] for each in header["stops"]]
    assert stops[0] == 0
    assert stops[-1] == 40
    assert len(stops) == 17
    for place, step in enumerate(stops):
        level, pixels = frames[step]
        assert header["stops"][place]["sigma"] == float(level.sigma)
        # cosine: alpha² + sigma² = 1, so that nothing is scaled
        assert abs(arrays["noisy"][place].astype(int) - pixels).max() <= 1
    names = model.labels(64, seed=1)
    assert header["labels"] == [model.codec.classes[k] for k in names[:5]]

    levels, walk = model.walk(5, seed=1, steps=40)
    x = next(walk).x_t[:5]
    denoise = model.conditional(torch.tensor(names[:5]), model.settings.sampling)
    with torch.no_grad():
        predicted = model.codec.decode(denoise(x, levels[0]).x_0)
    assert abs(arrays["clean"][0].astype(int) - predicted).max() <= 1
    assert predicted.std() > 1


def test_noise_is_shown_at_unit_scale_whatever_the_process(of_classes: Run) -> None:
    assert isinstance(of_classes.model, GaussianModel)
    model = replace(of_classes.model, process=ContinuousProcess(VE()))
    run = replace(of_classes, model=model)
    _, arrays = Pictures(run).draw(4, seed=8, steps=2)
    unit = torch.randn(64, 1, 4, 4, generator=generator(8, SAMPLING, 0), dtype=torch.float64)
    np.testing.assert_array_equal(arrays["noisy"][0], model.codec.decode(unit)[:4])


def test_a_filling_is_that_of_run_complete_and_keeps_what_is_known(shown: Pictures) -> None:
    run = shown.run
    header, arrays = shown.fill(7, HALF, draws=3, seed=5, label="above", guidance=2.0, steps=5)
    assert shown.real is not None
    picture = shown.real.pixels[[7]]
    known = np.broadcast_to(HALF[None, :, :, None] == 0, picture.shape)
    filled = run.complete(
        picture, known, draws=3, seed=5, given={"class": "above"}, guidance=2.0, steps=5
    )
    np.testing.assert_array_equal(arrays["noisy"][-1], np.concatenate(filled))
    kept = np.broadcast_to(picture[:, :, :2], (3, 4, 2, 1))
    for k in range(len(header["stops"])):  # as predicted, too
        np.testing.assert_array_equal(arrays["clean"][k][:, :, :2], kept)


def test_the_real_pictures_are_none_of_training_and_of_all_classes_in_turn(
    shown: Pictures,
) -> None:
    header, arrays = shown.described()
    heldout = shown.run.load_data().heldout
    assert heldout is not None
    assert {each.tobytes() for each in arrays["real"]} <= {p.tobytes() for p in heldout.pixels}
    few = min(np.bincount(heldout.labels))
    assert header["real_labels"][: 2 * few] == ["above", "below"] * few
    assert header["guided"]
    assert header["classes"] == ["above", "below"]


def test_pictures_that_are_in_no_file_are_missed(of_pictures: Run) -> None:
    lone = Pictures(sfumato.open(str(of_pictures.folder)))
    header, arrays = lone.described()
    assert arrays == {}
    assert not header["guided"]
    with pytest.raises(ArgumentError, match="cannot be had any more"):
        lone.fill(0, HALF, draws=1, seed=0)


def test_a_few_step_map_draws_when_it_is_asked(of_classes: Run) -> None:
    model: Any = of_classes.model
    own_map = FewSteps(deepcopy(model.denoiser.network), {1: (1.0,), 2: (1.0, 0.3)})
    run = replace(of_classes, model=replace(model, few=own_map))
    header, arrays = Pictures(run).draw(6, seed=2, calls=2)
    assert header["steps"] == 2
    assert header["calls"] == 2
    np.testing.assert_array_equal(arrays["noisy"][-1], run.sample(6, seed=2, few=2))
    assert Pictures(run).described()[0]["calls"] == [1, 2]


# --------------------------------------------------------------------------------- what is refused


def fill_message(**changes: Any) -> FillPicture:
    """A page's message, which fills in the right half."""
    plain = {
        "type": "fill_picture",
        "request": 1,
        "seed": 0,
        "draws": 2,
        "picture": 0,
        "mask": b64encode(HALF.tobytes()).decode(),
        "label": None,
        "guidance": None,
        "steps": None,
    }
    found = request(json.dumps(plain | changes))
    assert isinstance(found, FillPicture)
    return found


def draw_message(**changes: Any) -> DrawPictures:
    """A page's message, which has two pictures drawn."""
    plain = {
        "type": "draw_pictures",
        "request": 1,
        "seed": 0,
        "pictures": 2,
        "label": None,
        "guidance": None,
        "steps": None,
        "calls": None,
    }
    found = request(json.dumps(plain | changes))
    assert isinstance(found, DrawPictures)
    return found


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"mask": b64encode(bytes(16)).decode()}, "nothing is painted"),
        ({"mask": b64encode(bytes([1] * 15)).decode()}, "4 x 4 = 16 bytes; got 15"),
        ({"mask": b64encode(bytes([2] * 16)).decode()}, "other bytes"),
        ({"mask": "not base64!"}, "not in base64"),
        ({"picture": 999}, "got 999"),
        ({"label": "sideways"}, "sideways"),
    ],
)
def test_a_filling_that_cannot_be_is_refused(
    of_classes: Run, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(SfumatoError, match=reason):
        drawn(of_classes, fill_message(**changes), Listener())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"label": "above"}, "learned no classes"),
        ({"guidance": 2.0}, "nothing to guide"),
        ({"calls": 2}, "no few-step map yet"),
    ],
)
def test_what_a_run_does_not_have_is_refused(
    of_pictures: Run, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ArgumentError, match=reason):
        drawn(of_pictures, draw_message(**changes), Listener())


@pytest.mark.parametrize(
    ("message", "changes"),
    [
        (draw_message, {"pictures": 0}),
        (draw_message, {"pictures": 65}),
        (draw_message, {"steps": 0}),
        (draw_message, {"steps": 1001}),
        (draw_message, {"guidance": -0.1}),
        (draw_message, {"guidance": 101}),
        (draw_message, {"seed": -1}),
        (draw_message, {"label": 3}),
        (draw_message, {"path": "/etc/passwd"}),
        (fill_message, {"draws": 17}),
        (fill_message, {"mask": "A" * (2**22 + 4)}),
    ],
)
def test_messages_have_limits(message: Callable[..., Any], changes: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match="not understood"):
        message(**changes)


@pytest.mark.parametrize("message", [draw_message(steps=50), fill_message(steps=50)])
def test_it_is_given_up_between_two_calls_of_the_network(
    of_classes: Run, message: DrawPictures | FillPicture
) -> None:
    asked: list[None] = []

    def is_given_up() -> bool:
        asked.append(None)
        return len(asked) > 3

    with pytest.raises(Abandoned):
        drawn(of_classes, message, Listener(is_given_up=is_given_up))
    assert len(asked) == 4
    before = len(asked)
    of_classes.sample(1, steps=1)
    assert len(asked) == before  # nothing of it stays with the network


def test_it_says_how_many_steps_are_done(of_classes: Run) -> None:
    told: list[tuple[int, int]] = []
    drawn(of_classes, draw_message(steps=3), Listener(lambda *each: told.append(each)))
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


# -------------------------------------------------------------------------------- without a server


@pytest.fixture
def too_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """No network is quick enough to draw in the page."""
    monkeypatch.setattr(live_pictures, "MOST_PRODUCTS", 0)


@pytest.mark.usefixtures("too_slow")
def test_a_file_holds_what_python_draws(of_classes: Run) -> None:
    content, left = carried(of_classes, 10_000_000)
    header, arrays = unpacked(content)
    (said,) = left
    assert said.startswith("drawing by itself (a picture takes ")
    assert [(walk["guidance"], walk["few"]) for walk in header["walks"]] == [(1, 0), (2, 0), (4, 0)]
    for number, walk in enumerate(header["walks"]):
        expected = of_classes.sample(64, seed=header["seed"], guidance=walk["guidance"])
        np.testing.assert_array_equal(arrays[f"walk/{number}/noisy"][-1], expected)
        assert sorted(set(walk["labels"])) == ["above", "below"]
    fills, masks = header["fills"], arrays["masks"]
    assert fills["masks"] == ["right", "lower", "centre"]
    assert masks.tolist()[0] == HALF.tolist()
    real = arrays["real"][: fills["pictures"]]
    filled = arrays["fill/noisy"][-1].reshape(fills["pictures"], 3, fills["draws"], 4, 4, 1)
    for each, mask in enumerate(masks):
        kept = np.broadcast_to(mask[None, None, :, :, None] == 0, filled[:, each].shape)
        same = filled[:, each] == real[:, None]
        assert same[kept].all()
        assert not same[~kept].all()


@pytest.mark.usefixtures("too_slow")
@pytest.mark.parametrize(
    ("room", "settings", "pictures", "filled"),
    [(29_000, 3, 32, 4), (6_500, 3, 8, 1), (250, 1, 2, 0)],
)
def test_a_file_that_would_be_too_large_says_what_it_does_without(
    of_classes: Run, room: int, settings: int, pictures: int, filled: int
) -> None:
    real = Pictures(of_classes).described()[1]["real"]
    content, left = carried(of_classes, 100_000 + real.nbytes + room)
    header, arrays = unpacked(content)
    assert len(content) - sum(each.nbytes for each in arrays.values()) < 100_000
    drawn = [each.nbytes for name, each in arrays.items() if name.startswith(("walk", "fill"))]
    assert sum(drawn) <= room
    assert len(header["walks"]) == settings
    assert arrays["walk/0/noisy"].shape[1] == pictures
    assert header.get("fills", {}).get("pictures", 0) == filled
    less = header["left_out"]
    assert less["pictures"] == 64 - pictures
    assert len(less["guidance"]) == 3 - settings
    assert less["fills"] == (filled == 0)
    assert f"{64 - pictures} of the pictures" in left
    assert ("pictures filled in" in left) == (filled == 0)
