"""Training on past what a run was fitted for: its settings from then on, and what is set aside.

The steps that are added are a course of their own (`training.optimizer.learning_rate`), and those
before it stay on record in the settings. So the settings still say all: a new run of them ends in
the same weights.
"""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sfumato import config
from sfumato.config import Settings, TrainingPart, TrainingSettings
from sfumato.errors import ArgumentError
from sfumato.runs.folder import BEFORE, EVALUATION, FEW, FIGURES, MODEL, REPORT
from sfumato.training.loop import num_steps
from sfumato.training.optimizer import learning_rate

# Settings of a run that can change on its way, those first that make another course of it.
_COURSE = ("steps", "epochs", "learning_rate", "warmup", "decay")
# The rate goes up again to so much of the highest so far, unless it stands above that: as low as
# a tenth is as good, all of it is worse (docs/go-on.md).
AGAIN = 0.3
_CHANGEABLE = (*_COURSE, "checkpoint_every", "snapshots")


def continued(
    settings: Settings, changes: Mapping[str, Any], step: int, rows: int, folder: Path
) -> Settings:
    """The settings of a run from where it stands, with changes; the same where nothing changes.

    Args:
        settings: of the run.
        changes: nested.
        step: where it stands.
        rows: how many it learns from.
        folder: the run's.

    Raises:
        ArgumentError: if a change is none of a run that goes on, or asks for no more steps.
    """
    planned = num_steps(settings.training, rows)
    plain = settings.to_dict()
    plain["training"] = {**plain["training"], "steps": planned, "past": []}
    plain["training"].pop("epochs", None)
    before, after = config.resolve(plain), config.resolve(plain, changes)
    differing = _differing(before.to_dict(), after.to_dict())
    for name in differing:
        if name.removeprefix("training.") not in _CHANGEABLE:
            raise ArgumentError(
                f"a run that goes on keeps its settings, and {name} is not "
                f"{_value(after, name)} in {folder}; leave it out. What can change: "
                f"training.{', '.join(_CHANGEABLE)}."
            )
    steps = num_steps(after.training, rows)
    of_course = [name for name in differing if name.removeprefix("training.") in _COURSE]
    if not of_course and step < planned:
        kept = {name: getattr(after.training, name) for name in ("checkpoint_every", "snapshots")}
        return settings.model_copy(update={"training": settings.training.model_copy(update=kept)})
    if steps <= step:
        state = "finished" if step == planned else "already"
        raise ArgumentError(
            f"{folder} is {state} at step {step:,}, and training.steps={steps} asks for no step "
            f"more; give more than {step} to train on."
        )
    past = list(settings.training.past)
    if step > (past[-1].until if past else 0):
        own = {name: getattr(before.training, name) for name in _COURSE[2:]}
        past.append(TrainingPart(until=step, steps=planned, **own))
    training = {**after.training.model_dump(exclude={"epochs"}), "steps": steps, "past": past}
    if past and "learning_rate" not in changes.get("training", {}):
        stands = learning_rate(past[-1].until - 1, steps, TrainingSettings(**training))
        training["learning_rate"] = max(stands, AGAIN * max(part.learning_rate for part in past))
    return after.model_copy(update={"training": TrainingSettings(**training)})


def _differing(before: Mapping[str, Any], after: Mapping[str, Any], section: str = "") -> list[str]:
    """The full names of what two nested mappings do not share."""
    found = []
    for name in {**before, **after}:
        own, other = before.get(name), after.get(name)
        if isinstance(own, Mapping) and isinstance(other, Mapping):
            found += _differing(own, other, f"{section}{name}.")
        elif own != other:
            found.append(f"{section}{name}")
    return found


def _value(settings: Settings, name: str) -> Any:
    value: Any = settings.to_dict()
    for key in name.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def described_rate(settings: TrainingSettings) -> str:
    """The learning rate of the steps that are added, in one line."""
    first = settings.past[-1].until
    before = learning_rate(first - 1, settings.steps, settings)
    top, warm = settings.learning_rate, min(settings.warmup, settings.steps - first)
    end = "to 0 by a cosine" if settings.decay == "cosine" else "constant"
    way = f"from {before:.2g} to {top:.4g} in {warm:,} steps, then {end}"
    if before == top:
        way = f"{top:.4g}, then {end}" if settings.decay == "cosine" else f"{top:.4g} as before"
    return f"Learning rate: {way} (another: --set training.learning_rate=RATE)."


def set_aside(folder: Path, step: int, sample_file: str, *, model: bool) -> list[str]:
    """Put what was made from the weights of a step where it does not stand beside newer ones.

    Args:
        folder: the run's.
        step: of the weights.
        sample_file: the name of a report's samples.
        model: copy the model, too.

    Returns:
        A line that says what is where, if there is anything.
    """
    place = folder / BEFORE / f"step-{step:07d}"
    found = list(_made_from_weights(folder, sample_file))
    kept = [folder / MODEL] if model and (folder / MODEL).is_file() else []
    if not found and not kept:
        return []
    place.mkdir(parents=True, exist_ok=True)
    for path in (*kept, *found):
        target = place / path.name
        if target.is_dir():  # of an earlier start from this very step
            shutil.rmtree(target)
        if path in kept:
            shutil.copy2(path, target)
        else:
            path.replace(target)
    names = ", ".join(path.name for path in (*kept, *found))
    return [f"Of step {step:,}, set aside in {place}: {names}."]


def _made_from_weights(folder: Path, sample_file: str) -> Iterator[Path]:
    """A report with its files, and what was learned of a few-step map."""
    report = (REPORT, EVALUATION, FIGURES, sample_file)
    names = (*(report if (folder / REPORT).exists() else ()), FEW)
    return (folder / name for name in names if (folder / name).exists())
