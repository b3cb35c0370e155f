"""The file that the page reads, and the runs that it has no place for."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sfumato
from fitted import TINY
from sfumato import Run
from sfumato.errors import ArgumentError
from sfumato.models.registry import build_grid
from sfumato.process.noise import NoiseLevel
from sfumato.runs.exact import exact_denoiser
from sfumato.runs.explorer.payload import payload


def _read(content: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    (length,) = struct.unpack("<I", content[:4])
    header = json.loads(content[4 : 4 + length])
    arrays = {
        name: np.frombuffer(
            content, each["dtype"], int(np.prod(each["shape"])), 4 + length + each["offset"]
        ).reshape(each["shape"])
        for name, each in header.pop("arrays").items()
    }
    return header, arrays


def test_levels_are_those_of_the_run_with_its_parameterisation(moons: Run) -> None:
    header, arrays = _read(payload(moons))
    model = moons.model
    sampling = moons.settings.sampling
    levels = build_grid(sampling, model.process)
    own = arrays[f"grid/{header['sampling']['grid']}/{header['sampling']['steps']}"]
    np.testing.assert_array_equal(own[:, 0], levels.alpha.numpy())
    np.testing.assert_array_equal(own[:, 1], levels.sigma.numpy())
    # Karras et al. (2022), table 1, for data of unit variance and any scale of the signal.
    alpha, sigma, number, c_in, c_skip, c_out = own[:-1].T
    np.testing.assert_allclose(c_skip, alpha / (alpha**2 + sigma**2), rtol=1e-12)
    np.testing.assert_allclose(c_out, sigma / np.sqrt(alpha**2 + sigma**2), rtol=1e-12)
    np.testing.assert_allclose(c_in, 1 / np.sqrt(alpha**2 + sigma**2), rtol=1e-12)
    np.testing.assert_allclose(number, 2 * np.log(alpha / sigma), rtol=1e-12)


def test_arrays_begin_where_javascript_can_read_them(moons: Run) -> None:
    content = payload(moons)
    (length,) = struct.unpack("<I", content[:4])
    assert (4 + length) % 8 == 0
    described = json.loads(content[4 : 4 + length])["arrays"]
    assert all(each["offset"] % 8 == 0 for each in described.values())


def test_the_exact_denoiser_is_that_of_the_distribution_where_it_is_known(moons: Run) -> None:
    header, arrays = _read(payload(moons))
    assert header["exact"] == "distribution"
    known = exact_denoiser(moons)
    assert known is not None
    level = NoiseLevel.from_log_snr(torch.tensor(1.0, dtype=torch.float64))
    x = torch.tensor([[0.3, -0.2], [1.5, 0.4]], dtype=torch.float64)
    variance = (float(level.alpha) * arrays["exact/width"]) ** 2 + float(level.sigma) ** 2
    off = x.numpy()[:, None] - float(level.alpha) * arrays["exact/points"]
    logits = arrays["exact/log_weights"] - (off**2 / (2 * variance)).sum(2)
    weights = np.exp(logits - logits.max(1, keepdims=True))
    weights /= weights.sum(1, keepdims=True)
    mean = weights @ arrays["exact/points"]
    gain = float(level.alpha) * arrays["exact/width"] ** 2 / variance
    expected = mean + gain * (x.numpy() - float(level.alpha) * mean)
    np.testing.assert_allclose(known(x, level).x_0.numpy(), expected, atol=1e-9)


def test_of_a_file_the_training_rows_are_the_exact_denoisers(of_file: Run) -> None:
    header, arrays = _read(payload(of_file))
    assert header["exact"] == "training rows"
    train = of_file.model.codec.encode(of_file.load_data().train.values).numpy()
    np.testing.assert_allclose(arrays["exact/points"], train[: len(arrays["exact/points"])])


def test_without_its_rows_a_run_still_draws(moons: Run, of_array: Run, tmp_path: Path) -> None:
    of_array.save(tmp_path / "model.safetensors")
    header, arrays = _read(payload(sfumato.open(tmp_path / "model.safetensors")))
    assert header["exact"] is None
    assert header["rows"] is None
    assert "rows/real" not in arrays
    assert "network/averaged/output_proj.weight" in arrays
    assert "network/last/output_proj.weight" not in arrays
    # A toy set's rows can always be drawn again.
    moons.save(tmp_path / "moons.safetensors")
    assert "rows/real" in _read(payload(sfumato.open(tmp_path / "moons.safetensors")))[1]


def test_both_kinds_of_weights_are_carried_where_the_run_has_them(moons: Run) -> None:
    _, arrays = _read(payload(moons))
    averaged, last = (arrays[f"network/{kind}/hidden.0.weight"] for kind in ("averaged", "last"))
    own = moons.model.denoiser.network.state_dict()["hidden.0.weight"].numpy()
    np.testing.assert_array_equal(averaged, own.T)
    assert not np.array_equal(averaged, last)


def test_while_a_run_is_fitted_its_last_weights_are_those_of_the_moment(moons: Run) -> None:
    from copy import deepcopy

    moment = deepcopy(moons.model.denoiser.network)
    moment.get_parameter("hidden.0.weight").data.fill_(0.25)
    _, arrays = _read(payload(moons, moment))
    assert (arrays["network/last/hidden.0.weight"] == 0.25).all()
    assert not (arrays["network/averaged/hidden.0.weight"] == 0.25).all()


def test_options_of_samplers_that_the_page_has_not_are_refused(tmp_path: Path) -> None:
    settings = {**TINY, "sampling.sampler": "heun", "sampling.options": {"churn": 0.2}}
    run = sfumato.fit("moons", settings=settings, out=tmp_path / "churn", quiet=True)
    with pytest.raises(ArgumentError, match=r"sampling\.options\.churn"):
        payload(run)


def test_no_path_of_the_machine_is_in_the_file(moons: Run) -> None:
    assert moons.folder is not None
    header, _ = _read(payload(moons))
    assert header["folder"] == moons.folder.name
    assert str(moons.folder.parent).encode() not in payload(moons)


def test_of_a_file_its_name_alone_is_in_the_page(of_file: Run) -> None:
    header, _ = _read(payload(of_file))
    assert header["name"] == "rows.npy"


def test_what_the_page_has_no_place_for_is_refused_by_name(tmp_path: Path) -> None:
    wide = sfumato.fit(
        np.random.default_rng(0).normal(size=(300, 4)),
        settings={**TINY, "data.kind": "points"},
        out=tmp_path / "wide",
        quiet=True,
    )
    clipped = sfumato.fit(
        "moons", settings={**TINY, "sampling.clip": 2.0}, out=tmp_path / "clipped", quiet=True
    )
    for run, said in (
        (wide, "this run has 4 that vary"),
        (clipped, "sampling.clip"),
    ):
        with pytest.raises(ArgumentError, match=said):
            payload(run)


def test_a_network_of_ones_own_is_refused(tmp_path: Path) -> None:
    class Own(torch.nn.Module):
        parameterisation = "edm"

        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(3, 2)

        def forward(self, x: torch.Tensor, log_snr: torch.Tensor) -> torch.Tensor:
            noise = log_snr.reshape(-1, 1).expand(len(x), 1)
            return self.layer(torch.cat([x, noise], 1))  # type: ignore[no-any-return]

    run = sfumato.fit("moons", network=Own(), settings=TINY, out=tmp_path / "own", quiet=True)
    with pytest.raises(ArgumentError, match="this run has Own"):
        run.explore()


def test_the_name_of_the_file_is_checked(moons: Run, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"name it \.html, not 'page\.txt'"):
        moons.explore(tmp_path / "page.txt")
    with pytest.raises(ArgumentError, match="there is no folder"):
        moons.explore(tmp_path / "absent" / "page.html")


def test_a_notebook_shows_the_page_in_a_frame_of_its_own(moons: Run) -> None:
    page = moons.explore()
    shown = page._repr_html_()
    assert shown.startswith("<iframe")
    assert "<script" not in shown  # escaped: it runs in the frame alone
    assert len(page.html) < 2_000_000


def test_a_run_is_explored_by_where_it_is_too(moons: Run) -> None:
    assert moons.folder is not None
    assert sfumato.explore(moons.folder).html == sfumato.explore(moons).html
    assert sfumato.explore(moons).html == moons.explore().html
