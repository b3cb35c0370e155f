"""From settings and a codec to a model whose network has learned nothing yet."""

import torch
from torch import nn

from sfumato.config import Settings
from sfumato.data.codecs import Codec
from sfumato.errors import ArgumentError
from sfumato.models.gaussian import GaussianModel
from sfumato.models.model import Model
from sfumato.models.registry import build_denoiser, build_process, build_table_denoiser
from sfumato.models.table import TableModel
from sfumato.networks.skeleton import shapes_only
from sfumato.process.process import AnyProcess, as_process


def build_model(
    settings: Settings,
    codec: Codec,
    *,
    network: nn.Module | None = None,
    process: AnyProcess | None = None,
    values: bool = True,
) -> Model:
    """A model with the network and process that the settings name, or with a user's own.

    Args:
        settings: name everything.
        codec: of the data.
        network: in place of the one that the settings name.
        process: likewise.
        values: of the weights; without them the network has only shapes, and takes no memory.

    Raises:
        ArgumentError: if a setting names something unknown, or not for these data.
    """
    own = build_process(settings.process) if process is None else as_process(process)
    with torch.device("cpu") if values else shapes_only():
        if codec.kind == "table":
            if own.num_levels:
                raise ArgumentError(
                    "a table's process is continuous; leave process.num_levels at 0."
                )
            of_table = build_table_denoiser(settings, codec, own, network)
            return TableModel(settings, codec, own, of_table)
        denoiser = build_denoiser(settings, codec, own, network)
        return GaussianModel(settings, codec, own, denoiser)
