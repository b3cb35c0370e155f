"""What is written as ONNX says the same in another runtime.

The networks that no recipe chooses; those of every kind of data are written and compared in
`cli/test_matrix.py`.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sfumato
from onnx_loop import draws_the_same, operators_read_once
from sfumato.errors import RunError
from sfumato.models.onnx import write_onnx
from sfumato.runs.run import Run

__all__ = ["operators_read_once"]


@pytest.fixture(scope="module", autouse=True)
def other_runtime() -> None:
    """Imported by the first test: a worker that runs none of them does without."""
    for name in ("onnxruntime", "onnxscript"):
        pytest.importorskip(name)


_SHORT = {"training.steps": 20, "training.batch_size": 16, "training.snapshots": 0}


@pytest.mark.parametrize(
    "changes",
    [
        {
            "network.width": 16,
            "network.depth": 1,
            "network.options.multipliers": [1, 2],
            "network.options.attention": [False, True],
            "network.options.dropout": 0.5,  # which draws nothing by chance in the file
            "network.parameterisation": "eps",
        },
        {"network.name": "dit", "network.width": 32, "network.depth": 1},
    ],
)
@pytest.mark.usefixtures("operators_read_once")
def test_a_loop_around_the_onnx_file_draws_what_ddim_draws_here(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 6, 5, 3), dtype=np.uint8)
    run = sfumato.fit(pixels, out=tmp_path / "run", settings=_SHORT | changes, quiet=True)
    write_onnx(run.model, tmp_path / "onnx")
    draws_the_same(tmp_path / "onnx", run.model)


def test_a_folder_is_never_overwritten(moons: Run, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="never overwritten"):
        write_onnx(moons.model, tmp_path)
