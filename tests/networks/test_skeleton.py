"""A skeleton has the shapes of its network, takes no memory, and loads no compiler."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from torch import nn

from sfumato.networks.dit import DiT
from sfumato.networks.embeddings import LearnedStepEmbedding, StepEmbedding
from sfumato.networks.mlp import StepMLP, VectorMLP
from sfumato.networks.skeleton import shapes_only
from sfumato.networks.table_mlp import TableMLP
from sfumato.networks.unet import UNet

_NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "vector_mlp": lambda: VectorMLP(2, outputs=4),
    "step_mlp": lambda: StepMLP(2, 100),
    "table_mlp": lambda: TableMLP(3, (2, 5), beside=4),
    "table_mlp without numbers": lambda: TableMLP(0, (4,)),
    "table_mlp without categories": lambda: TableMLP(2, ()),
    "unet": lambda: UNet(1, 32, (1, 2), attention=(False, True)),
    "unet with classes and steps": lambda: UNet(
        3, 32, (1,), attention=(True,), classes=4, time_proj=StepEmbedding(32)
    ),
    "unet with learned steps": lambda: UNet(
        3, 32, (1,), attention=(False,), time_proj=LearnedStepEmbedding(10, 32)
    ),
    "dit": lambda: DiT(3, 7, 5, 32, 1, 2, classes=3),
}


@pytest.mark.parametrize("name", _NETWORKS)
def test_a_skeleton_has_the_shapes_and_types_of_its_network(name: str) -> None:
    real = _NETWORKS[name]()
    with shapes_only():
        skeleton = _NETWORKS[name]()
    for own, shape in (
        (real.state_dict(), skeleton.state_dict()),
        (dict(real.named_buffers()), dict(skeleton.named_buffers())),
    ):
        assert [(key, each.shape, each.dtype) for key, each in own.items()] == [
            (key, each.shape, each.dtype) for key, each in shape.items()
        ]
        assert all(each.is_meta for each in shape.values())


def test_a_skeleton_of_any_size_takes_no_memory() -> None:
    with shapes_only():
        network = DiT(3, 10**5, 10**5, 1 << 24, 2, 1)
    assert sum(each.numel() for each in network.parameters()) > 10**15


def test_no_skeleton_loads_a_compiler() -> None:
    code = (
        "import sys\n"
        "from test_skeleton import _NETWORKS, shapes_only\n"
        "with shapes_only():\n"
        "    for build in _NETWORKS.values(): build()\n"
        "heavy = {'torch._dynamo', 'sympy'} & set(sys.modules)\n"
        "sys.exit(f'imports {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent)
