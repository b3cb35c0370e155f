"""What is written as ONNX says the same in another runtime."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sfumato
from sfumato.errors import RunError
from sfumato.models.gaussian import GaussianModel
from sfumato.models.model import Model
from sfumato.models.onnx import write_onnx
from sfumato.samplers.driver import last_frame, trajectory

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

_SHORT = {"training.steps": 20, "training.snapshots": 0}


def _pictures() -> Any:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (40, 6, 5, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("source", "changes"),
    [
        ("moons", {}),
        ("moons", {"network.name": "step-mlp", "process.num_levels": 30, "process.options": {}}),
        (_pictures(), {"network.width": 16, "network.parameterisation": "eps"}),
        ("digits", {"data.labels": True, "network.width": 16, "training.batch_size": 8}),
        (_pictures(), {"network.name": "dit", "network.width": 32, "network.depth": 1}),
    ],
)
def test_a_loop_around_the_onnx_file_draws_what_ddim_draws_here(
    tmp_path: Path, source: Any, changes: dict[str, Any]
) -> None:
    run = sfumato.fit(source, out=tmp_path / "run", settings=_SHORT | changes, quiet=True)
    write_onnx(run.model, tmp_path / "onnx")
    own, their = _ddim_here(run.model), _ddim_of_the_file(tmp_path / "onnx")
    np.testing.assert_allclose(their, own, rtol=0, atol=2e-4)


def _start(event: list[int]) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((3, *event))


def _ddim_here(model: Model) -> np.ndarray:
    assert isinstance(model, GaussianModel)
    _, levels, stepper = model._sampler({"sampler": "ddim"})
    x = torch.from_numpy(_start(list(model.codec.event)))
    x = x * (levels.alpha[0] ** 2 + levels.sigma[0] ** 2).sqrt()
    frames = trajectory(model.unlabelled, x, levels, stepper, noise=torch.zeros_like)
    return last_frame(frames).x_t.numpy()


def _ddim_of_the_file(folder: Path) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(folder / "denoiser.onnx"))
    told = json.loads((folder / "sampling.json").read_text())
    alpha, sigma, number = (told["levels"][name] for name in ("alpha", "sigma", "number"))
    x: np.ndarray = _start(told["event"]) * np.hypot(alpha[0], sigma[0])
    n = len(x)
    kind = np.int64 if isinstance(number[0], int) else np.float32
    for k in range(len(number)):
        inputs = {
            "x_t": x.astype(np.float32),
            "alpha": np.full(n, alpha[k], np.float32),
            "sigma": np.full(n, sigma[k], np.float32),
            "number": np.full(n, number[k], kind),
        }
        if "labels" in told:
            inputs["label"] = np.full(n, told["labels"]["any"])
        (x_0,) = session.run(None, inputs)
        x = alpha[k + 1] * x_0 + sigma[k + 1] * (x - alpha[k] * x_0) / sigma[k]
    return x


def test_a_folder_is_never_overwritten(tmp_path: Path) -> None:
    run = sfumato.fit("moons", out=tmp_path / "run", settings=_SHORT, quiet=True)
    with pytest.raises(RunError, match="never overwritten"):
        write_onnx(run.model, tmp_path / "run")
