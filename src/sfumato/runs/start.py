"""Fitting from the weights of a fitted model instead of random ones.

What the weights mean stays what it was: process, network and the map between rows and the network's
numbers are those of the start. All other settings of it are the defaults of the new run, but for
the learning rate of points, which is lower.
"""

import math
import os
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from torch import nn

from sfumato import config
from sfumato.config import Settings, StartSettings, recipes
from sfumato.data.source import IN_MEMORY
from sfumato.errors import ArgumentError, DataError, RunError
from sfumato.models.file import weights_sha256
from sfumato.models.model import Model
from sfumato.models.registry import OWN
from sfumato.process.process import Process
from sfumato.process.schedules import Schedule
from sfumato.runs.continued import AGAIN
from sfumato.runs.data import Dataset
from sfumato.runs.kinds import KINDS
from sfumato.runs.run import Run, open_run


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """A fitted model whose weights another run starts from.

    Args:
        model: it.
        settings: where it is from, as the new run records it.
    """

    model: Model
    settings: StartSettings


# The path of a start that has no folder, as it stands in sentences.
_IN_MEMORY = "a model in memory"


def start_of(given: Run | str | os.PathLike[str]) -> Start:
    """An opened run, or a run folder, model file or folder of diffusers, as a start.

    Raises:
        RunError: as `open_run`.
    """
    run = given if isinstance(given, Run) else open_run(given)
    path = given if not isinstance(given, Run) else run.folder or _IN_MEMORY
    mark = weights_sha256(run.model.denoiser.network)
    return Start(run.model, StartSettings(path=os.fspath(path), sha256=mark))


def own_parts(
    start: Start, network: nn.Module | None, process: Schedule | Process | None
) -> tuple[nn.Module | None, Schedule | Process | None]:
    """A network and a process of a user's own, where the start has them: those of the start.

    Raises:
        ArgumentError: if some are given beside a start.
    """
    if network is not None or process is not None:
        raise ArgumentError(
            "a fit that starts from a model has its network and process; leave `network` and "
            "`process` out, or `start`."
        )
    model = start.model
    own = model.settings.network.name == OWN, model.settings.process.schedule == OWN
    return (
        deepcopy(model.denoiser.network).requires_grad_(True) if own[0] else None,
        model.process if own[1] else None,
    )


def recorded_start(settings: Settings) -> Start | None:
    """The start that a run's settings name, opened again; None where they name none.

    Raises:
        RunError: if it is gone, or has other weights now.
    """
    named = settings.start
    if not named.path:
        return None
    if named.path == _IN_MEMORY:
        raise RunError("this run starts from a model in memory, which is gone; start it anew.")
    found = start_of(named.path)
    if named.sha256 not in (None, found.settings.sha256):
        raise RunError(
            f"{named.path} has not the weights that this run starts from (their SHA-256 has "
            "changed); start a new run."
        )
    return found


def layer(start: Start) -> dict[str, Any]:
    """What a fit takes of its start's settings, as changes to the recipe of its data."""
    own, kind = start.model.settings.to_dict(), start.model.codec.kind
    past = ("steps", "epochs", "past", "precision")  # the last is the machine's
    training = {k: value for k, value in own["training"].items() if k not in past}
    if kind == "points":
        training |= _again(training, math.prod(start.model.codec.event))
    return {
        "threads": own["threads"],
        "device": own["device"],
        "data": {
            "standardise": own["data"]["standardise"],
            **KINDS[kind].start_layer(start.model),
        },
        "process": own["process"],
        "network": own["network"],
        "training": training,
        "sampling": {**own["sampling"], "few": 0},
    }


def _again(training: Mapping[str, Any], columns: int) -> dict[str, Any]:
    """A lower rate, as going on takes; and the steps that the start's optimizer takes of points."""
    rows = recipes.MANY_POINTS if training["optimizer"] == "muon" else 0
    steps = config.resolve(recipes.points(rows, columns)).training.steps
    return {"learning_rate": AGAIN * training["learning_rate"], "steps": steps}


# What of the network can change without its weights meaning something else.
_FREE = ("options.dropout", "options.recompute")
# What of the data settings is held by the start's codec.
_OF_CODEC = ("standardise", "rules")


def refuse_conflicts(settings: Settings, start: Start) -> None:
    """Refuse settings that the start's weights do not have.

    Raises:
        ArgumentError: naming the first of them.
    """
    own, asked = start.model.settings.to_dict(), settings.to_dict()
    for section in ("process", "network", "data"):
        before, after = _flat(own[section]), _flat(asked[section])
        for name in _OF_CODEC if section == "data" else {**before, **after}:
            if before.get(name) != after.get(name) and name not in _FREE:
                held = before.get(name, "the default")
                raise ArgumentError(
                    f"{section}.{name} is {held!r} in {start.settings.path}, whose weights the fit "
                    f"starts from, and not {after.get(name, 'the default')!r}; leave it out, or "
                    "fit without --from."
                )


def _flat(section: Mapping[str, Any]) -> dict[str, Any]:
    options = {f"options.{name}": each for name, each in section.get("options", {}).items()}
    return {**{k: value for k, value in section.items() if k != "options"}, **options}


def adopted(start: Start, data: Dataset[Any]) -> tuple[Any, list[str]]:
    """The codec of a run on these rows that starts there, and what to say of it, a line each.

    Raises:
        DataError: if the rows are not what the start's network takes.
    """
    model, path = start.model, start.settings.path
    kind, source = model.codec.kind, data.settings.source
    where = "these rows do" if source == IN_MEMORY else f"{source} does"
    if data.kind != kind:
        raise DataError(
            f"{path} is a model of {_PLURAL[kind]}, and {source} holds {_PLURAL[data.kind]}; take "
            "such data, or fit without --from."
        )
    try:
        codec, notes = KINDS[kind].adopt(model, data)
    except DataError as error:
        raise DataError(f"{where} not fit {path}, which the fit starts from: {error}") from error
    return codec, [f"Start: the weights of {path}", *notes]


_PLURAL = {"points": "points in space", "table": "a table", "images": "pictures"}
