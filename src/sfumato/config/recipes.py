"""Recipes: changes to the default settings that suit certain data, and the named presets."""

from collections.abc import Mapping
from typing import Any

from sfumato.errors import unknown

# More noise than the reverse SDE's, which mends the network's errors; of points only where they
# have come near to the data, where most of their steps are, and in steps of third order, as those
# of second order lose width on the way there. Of larger pictures as much as the reverse SDE's.
_SAMPLING = {"options": {"eta": 2.0}}
_SAMPLING_POINTS = {
    "sampler": "dpm++3m-sde",
    "grid": "softplus",
    "steps": 30,
    "options": {"eta": 1.5, "noise_below": 1.0},
}
# Rows to learn from that make points many.
MANY_POINTS = 5_000
# Of tables that are long to draw: in half of the time or less, and as hard to tell apart.
_SAMPLING_LONG_TABLES = {
    "sampler": "dpm++3m-sde",
    "grid": "softplus-wide",
    "steps": 20,
    "options": {"eta": 1.0, "noise_below": 1.0},
}
_SAMPLING_PICTURES = {"options": {"eta": 1.0}}


def points(rows: int, columns: int) -> dict[str, Any]:
    """The recipe for points.

    The cosine is shifted to where the detail of points is decided. In more than three columns, rows
    are too far apart to be each other's reference, and there is more to learn. Muon learns finer
    structure in fewer steps; few rows it learns by heart.

    Args:
        rows: to learn from.
        columns: of the data.
    """
    recipe = {"process": {"options": {"shift": 3.0}}, "sampling": _SAMPLING_POINTS}
    if columns > 3:
        return recipe | {
            "network": {"width": 128},
            "training": {"steps": 2000, "batch_size": 512, "reference": 0},
            "sampling": _SAMPLING_POINTS | {"steps": 40},
        }
    if rows < MANY_POINTS:
        return recipe
    training = {"steps": 400, "batch_size": 512, "optimizer": "muon", "learning_rate": 3.5e-2}
    return recipe | {"training": training}


def table(rows: int, columns: int, *, one_category: bool = False) -> dict[str, Any]:
    """The recipe for a table: 600 passes over few rows, fewer over many.

    Numbers that nearly decide each other are narrow in some direction: the least noise is lower,
    and the cosine is shifted towards it where there are enough rows to show such detail. Few rows
    are drawn in fifty steps, as on some such sets trees see the difference.

    Args:
        rows: of the table.
        columns: of the table.
        one_category: whether most rows ask for one column of categories: a network knows by heart
            after ten passes what that is in each row.
    """
    passes, least = (10, 100) if one_category else (600, 200)
    steps, long = min(max(least, passes * rows // 512), 7000), rows >= 3000
    return {
        "process": {"options": {"shift": 3.0 if long else 1.0, "log_snr_max": 12.0}},
        "network": {"name": "table-mlp", "width": 128 if columns <= 8 else 256, "depth": 3},
        "training": {
            "steps": steps,
            "batch_size": 512,
            "reference": 0,
            "learning_rate": 2e-3,
            "warmup": 50,
            "average": 0.995,
            "snapshots": 0,
        },
        "sampling": _SAMPLING_LONG_TABLES if long else _SAMPLING,
    }


def images(height: int, width: int) -> dict[str, Any]:
    """A U-Net whose lowest resolution has a side of four or so, in steps that two cores carry.

    Its resolutions halve the sides evenly, as diffusers' must, where that leaves at most 8 pixels;
    other pictures are padded. There is attention from 16 pixels down.

    For 8 x 8 pixels in a minute or two, for 32 x 32 in less than an hour; what a GPU can do needs
    a wider network and more steps. A step of many small pictures costs hardly more than one of
    few; of larger ones more steps of fewer pictures learn more in the same time, and Muon's, which
    take a fifth longer, more than AdamW's.
    """
    side = max(height, width)
    resolutions = max(1, (side - 1).bit_length() - 1)
    even = 1
    while even < resolutions and height % 2**even == width % 2**even == 0:
        even += 1
    if even > 1 and side // 2 ** (even - 1) <= 8:
        resolutions = even
    sides = [-(-side // 2**k) for k in range(resolutions)]
    steps, batch_size = (1000, 64) if side <= 8 else (3000, 16) if side <= 16 else (10_000, 16)
    optimizer, learning_rate = ("adamw", 1e-3) if side <= 8 else ("muon", 6e-3)
    return {
        "process": {"options": {"shift": 1.0}},
        "network": {
            "name": "unet",
            "width": 32,
            "depth": 1,
            "parameterisation": "v",
            "options": {
                "multipliers": [1, 2, 2, 4, 4, 4, 4, 4][:resolutions],
                "attention": [each for each in sides if each <= 16],
            },
        },
        "training": {
            "steps": steps,
            "batch_size": batch_size,
            "reference": 0,
            "optimizer": optimizer,
            "learning_rate": learning_rate,
            "warmup": 100,
            "average": 0.995,
            "precision": "float32" if side <= 16 else "auto",
            "log_every": 50 if side <= 16 else 10,
            "checkpoint_every": 500,
        },
        "sampling": _SAMPLING if side <= 8 else _SAMPLING_PICTURES,
        "threads": 0,
    }


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "s-curve": {"data": {"source": "s-curve"}},
    # A seventh kept out: as many rows as there are in each of the six sets of the floors.
    "table": {"data": {"source": "penguins", "holdout": 0.14}},
    "digits": {"data": {"source": "digits", "labels": True}},
    # The tutorial's own settings, faults included; `s-curve` is the same job done right.
    "tutorial": {
        "data": {"source": "s-curve", "rows": 10_000, "noise": 0.1, "standardise": False},
        "process": {"schedule": "sigmoid", "num_levels": 100},
        "network": {"name": "step-mlp", "width": 128, "parameterisation": "eps"},
        "training": {
            "epochs": 4000,
            "batch_size": 128,
            "reference": 0,
            "optimizer": "adam",
            "learning_rate": 1e-3,
            "warmup": 0,
            "decay": "constant",
            "clip": 1.0,
            "average": 0.999,
            "times": "antithetic",
            "weighting": "simple",
            "log_every": 79,
            "checkpoint_every": 7900,
            "snapshots": 8,
        },
        "sampling": {
            "sampler": "ancestral",
            "steps": 100,
            "grid": "trailing",
            "options": {"variance": "beta", "last_step_noise": True},
            "weights": "last",
        },
    },
}


def preset(name: str) -> dict[str, Any]:
    """The settings of a preset, as nested changes to the defaults.

    Raises:
        ArgumentError: if there is none of that name.
    """
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    return dict(PRESETS[name])
