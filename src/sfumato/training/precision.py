"""In which precision a network learns faster here: measured, as no processor's flags say it.

Products of bfloat16 are quicker by themselves, and what surrounds them is slower: on the same
processor it can be several times slower for a small network and faster for a large one.
"""

import math
import time
from dataclasses import dataclass
from typing import Literal

from sfumato import distributed
from sfumato.training.loop import Training, multiplies_bfloat16

# Steps in each precision, in turn; the first of them warms up. Fewer where they are long.
_ROUNDS, _ENOUGH_SECONDS = 4, 10.0

# What is as fast is learned in float32.
_CLEARLY = 1.1


@dataclass(frozen=True, slots=True)
class Precision:
    """The precision to learn in.

    Args:
        name: as `training.precision`.
        note: why, for a person.
    """

    name: Literal["float32", "bfloat16"]
    note: str


def faster(trial: Training) -> Precision:
    """The precision in which steps are clearly faster; all processes must ask together.

    Args:
        trial: takes the steps, and is thrown away afterwards.
    """
    if not multiplies_bfloat16(trial.device):
        return Precision("float32", "Precision: float32, as nothing here multiplies bfloat16")
    if trial.settings.compile or trial.sharded:
        return Precision("bfloat16", "Precision: bfloat16, which is native here; not measured")
    plain, short = _seconds(trial)
    name: Literal["float32", "bfloat16"] = "bfloat16" if plain > _CLEARLY * short else "float32"
    unit = "processor seconds" if trial.device.type == "cpu" else "seconds"
    said = f"{plain:.2g} {unit} in float32 and {short:.2g} in bfloat16"
    return Precision(name, f"Precision: {name}; a step takes {said} here")


def _seconds(trial: Training) -> tuple[float, float]:
    """The least seconds of a step in float32 and in bfloat16, in the mean of all processes."""
    least = {False: math.inf, True: math.inf}
    # Of a processor its own seconds: others may be at work on it.
    clock = time.process_time if trial.device.type == "cpu" else time.perf_counter
    started = time.perf_counter()
    for number in range(_ROUNDS):
        for trial.in_bfloat16 in least:
            before = clock()
            with trial.learning():
                for batch in trial.batches(1):
                    trial.descend(batch)
            if number:
                seconds = clock() - before
                least[trial.in_bfloat16] = min(least[trial.in_bfloat16], seconds)
        if distributed.any_of(number > 0 and time.perf_counter() - started > _ENOUGH_SECONDS):
            break
    return distributed.mean(least[False]), distributed.mean(least[True])
