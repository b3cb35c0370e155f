"""Files of the version before: the rows that it drew are drawn again, and its runs go on."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from sfumato.errors import RunError
from sfumato.models import format_4
from sfumato.models.file import load_model, save_model
from sfumato.models.gaussian import GaussianModel
from sfumato.models.model import Model
from sfumato.models.table import TableModel
from sfumato.runs.fit import finish, resume

FILES = Path(__file__).parent / "format_4"
NETWORKS = ["vector-mlp", "step-mlp", "unet", "dit", "table-mlp"]


def _assert_draws(model: Model, network: str, rtol: float) -> None:
    """The five rows that sfumato 0.1.0 drew, to the rounding of another machine."""
    expected = json.loads((FILES / network / "rows.json").read_text())
    if isinstance(model, GaussianModel):
        drawn = np.asarray(model.sample(5, seed=3))
        atol = 1.0 if drawn.dtype == np.uint8 else 1e-6
        np.testing.assert_allclose(drawn.astype(float), expected, rtol, atol)
        if drawn.dtype == np.uint8:
            _assert_output(model, network, rtol)
        return
    assert isinstance(model, TableModel)
    drawn_table = model.sample(5, seed=3)
    assert list(drawn_table.names) == list(expected)
    for column in drawn_table:
        known = expected[column.name]
        assert column.missing.tolist() == [value is None for value in known]
        values = column.present
        there: Any = [value for value in known if value is not None]
        if values.dtype.kind == "M":
            assert (np.abs(values - np.array(there, values.dtype)) <= np.timedelta64(1, "D")).all()
        elif values.dtype.kind in "fi":
            np.testing.assert_allclose(values, there, rtol)
        else:
            assert values.tolist() == there


def _assert_output(model: Model, network: str, rtol: float) -> None:
    pixels = torch.linspace(-1, 1, 16).view(1, 1, 4, 4)
    with torch.no_grad():
        output = model.denoiser.network(pixels, torch.tensor(3.0), torch.tensor([1]))
    expected = json.loads((FILES / network / "output.json").read_text())
    np.testing.assert_allclose(output.flatten().numpy(), expected, rtol, atol=1e-5)


@pytest.mark.parametrize("network", NETWORKS)
def test_the_rows_that_it_drew_are_drawn_again(network: str, tmp_path: Path) -> None:
    model = load_model(FILES / network / "model.safetensors")
    _assert_draws(model, network, rtol=1e-4)
    save_model(model, tmp_path / "again.safetensors")  # in today's format
    _assert_draws(load_model(tmp_path / "again.safetensors"), network, rtol=1e-4)


@pytest.mark.parametrize("network", ["step-mlp", "table-mlp"])
def test_a_run_goes_on_where_it_stopped(
    network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(FILES / network, tmp_path / "run")
    shutil.copy(FILES / "table-mlp" / "people.csv", tmp_path)
    monkeypatch.chdir(tmp_path)
    with resume(Path("run")) as job:
        assert job.training.step == 25
        run = finish(job, quiet=True)
    # A table's values are put elsewhere in their cells each time, which that version did not.
    assert run.model.codec == load_model(FILES / network / "model.safetensors").codec
    _assert_draws(run.model, network, rtol=0.1 if network == "table-mlp" else 1e-3)


@pytest.mark.parametrize("network", NETWORKS)
def test_every_weight_has_its_place(network: str) -> None:
    """No two old names become one."""
    with safe_open(FILES / network / "model.safetensors", "pt") as file:
        old = list(file.keys())
    model = load_model(FILES / network / "model.safetensors")
    new = [format_4.weight_names(network)(name) for name in old]
    assert sorted(new) == sorted(model.denoiser.network.state_dict())


def test_the_sum_is_over_the_names_as_they_were_written(tmp_path: Path) -> None:
    path = FILES / "vector-mlp" / "model.safetensors"
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    tensors["input_proj.weight"] = tensors.pop("enter.weight")
    save_file(tensors, tmp_path / "renamed.safetensors", metadata)
    with pytest.raises(RunError, match="SHA-256"):
        load_model(tmp_path / "renamed.safetensors")
