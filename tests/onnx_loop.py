"""A sampler around an ONNX file as a stranger writes it, beside the same walk of the package.

And what makes files sooner: PyTorch's exporter reads the source of all its operators once for all
of them.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from sfumato.models.gaussian import GaussianModel
from sfumato.models.model import Model
from sfumato.samplers.driver import last_frame, trajectory


@pytest.fixture(scope="module")
def operators_read_once() -> Iterator[None]:
    """The exporter's list of operators, which takes half a second and is the same for all files."""
    registration = pytest.importorskip("torch.onnx._internal.exporter._registration")
    pytest.importorskip("onnxscript")
    registry = registration.ONNXRegistry
    with pytest.MonkeyPatch.context() as patch:
        once = staticmethod(cache(registry.from_torchlib))
        patch.setattr(registry, "from_torchlib", once)
        yield


def draws_the_same(folder: Path, model: Model) -> None:
    """A loop around the file in the folder draws what DDIM draws with the model."""
    np.testing.assert_allclose(_ddim_of_the_file(folder), _ddim_here(model), rtol=0, atol=2e-4)


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
    onnxruntime = pytest.importorskip("onnxruntime")
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
