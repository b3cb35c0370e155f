"""The denoiser of a table, written as ONNX, answers in another runtime as it does here."""

import io
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sfumato import config
from sfumato.config import recipes
from sfumato.data.codecs.table import TableCodec
from sfumato.data.table import Column, DataTable
from sfumato.models.build import build_model
from sfumato.models.onnx import write_onnx
from sfumato.models.table import TableModel
from sfumato.networks.table_mlp import TableCondition
from sfumato.process.noise import NoiseLevel
from sfumato.runs.run import Run

onnxruntime: Any
onnx: Any


@pytest.fixture(scope="module", autouse=True)
def other_runtime() -> None:
    """Imported by the first test: a worker that runs none of them does without."""
    global onnxruntime, onnx
    onnxruntime, onnx = (pytest.importorskip(name) for name in ("onnxruntime", "onnx"))
    pytest.importorskip("onnxscript")


@dataclass(frozen=True)
class Written:
    """A file, what was printed while it was written, and what the model drew before."""

    file: Path
    printed: str
    drawn_before: Any


@pytest.fixture(scope="module")
def written(of_table: Run, tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("written") / "onnx"
    before, said = of_table.draw(20), io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        write_onnx(of_table.model, folder)
    return Written(folder / "denoiser.onnx", said.getvalue(), before)


def test_both_answers_are_those_of_the_network(of_table: Run, written: Written) -> None:
    """Of any batch, whatever is known of a row: numbers, noisy numbers, categories."""
    assert isinstance(of_table.model, TableModel)
    assert_same_answers(of_table.model, written.file)


def test_numbers_of_one_unit_are_compared_there_too(tmp_path: Path) -> None:
    """A bill, often nothing; a payment, often all of the bill or nearly so."""
    rng, n, none = np.random.default_rng(0), 3000, np.zeros(3000, bool)
    bill = np.where(rng.random(n) < 0.1, 0, rng.lognormal(6, 1, n))
    paid = np.where(rng.random(n) < 0.2, bill, bill * rng.normal(1, 0.01, n))
    rows = DataTable((Column("bill", bill, none), Column("paid", paid, none)))
    codec = TableCodec.fit(rows, {"bill": "continuous", "paid": "continuous"})
    codec = codec.correlated(codec.to_learn(rows), torch.Generator().manual_seed(0))
    assert codec.units
    assert codec.repeats
    model = build_model(config.resolve(recipes.table(n, 2)), codec)
    assert isinstance(model, TableModel)
    source = torch.Generator().manual_seed(1)
    for weights in model.denoiser.network.parameters():
        weights.data.add_(0.05 * torch.randn(weights.shape, generator=source))
    write_onnx(model, tmp_path / "onnx")
    assert_same_answers(model, tmp_path / "onnx" / "denoiser.onnx")


def assert_same_answers(model: TableModel, file: Path) -> None:
    session = onnxruntime.InferenceSession(str(file))
    source, (count,) = torch.Generator().manual_seed(0), model.codec.event
    for n in (1, 2, 7, 300):
        log_snr = 10 * torch.rand(n, generator=source) - 5
        alpha, sigma = log_snr.sigmoid().sqrt(), (-log_snr).sigmoid().sqrt()
        is_known = torch.rand(n, count, generator=source) < 0.3
        is_noisy = (torch.rand(n, count, generator=source) < 0.7) & ~is_known
        known = torch.randn(n, count, generator=source) * is_known
        x_t = torch.randn(n, count, generator=source)
        categories = torch.stack(
            [torch.randint(0, size + 1, (n,), generator=source) for size in model.codec.sizes], 1
        )
        condition = TableCondition(known, is_known, is_noisy, categories)
        with torch.no_grad():
            found = model.denoiser.both(x_t, NoiseLevel(alpha, sigma), condition)
        inputs = {
            "x_t": x_t,
            "alpha": alpha,
            "sigma": sigma,
            "known": known,
            "is_known": is_known,
            "is_noisy": is_noisy,
            "categories": categories,
        }
        x_0, theirs = session.run(None, {name: each.numpy() for name, each in inputs.items()})
        np.testing.assert_allclose(x_0, found.x_0.numpy(), rtol=0, atol=1e-5)
        np.testing.assert_allclose(theirs, found.logits.numpy(), rtol=0, atol=1e-5)
    assert np.ptp(theirs) > 1e-3  # the answers are no zeros


def test_rows_are_not_walked_one_by_one(written: Written) -> None:
    assert written.printed == ""
    graph = onnx.load(str(written.file)).graph
    assert not {node.op_type for node in graph.node} & {"Loop", "Scan", "SequenceEmpty"}


def test_the_model_s_own_network_stays_as_it_is(of_table: Run, written: Written) -> None:
    after = of_table.draw(20)
    for one, other in zip(written.drawn_before, after, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
    network = of_table.model.denoiser.network
    assert isinstance(network.category_embedding, torch.nn.EmbeddingBag)
