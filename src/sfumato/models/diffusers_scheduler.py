"""Schedulers of diffusers: what their settings mean here, and ours as a DDPMScheduler.

A setting says what the process is, and is read; or it says how DDPMScheduler or DDIMScheduler
sample, and is read; or it says how another scheduler samples, and is passed over, because a sampler
of ours draws from that process; or it is unknown, and is refused by its name.

    betas       x_t = alpha x_0 + sigma eps at steps of a discrete schedule, which the network takes
    flow        x_t = (1 - t) x_0 + t eps; the network takes 1000 t and answers eps - x_0
    edm         x_t = x_0 + sigma eps; the network takes log(sigma)/4: Karras et al. (2022)

The steps of diffusers count from 0, ours from 1.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sfumato.config import ProcessSettings
from sfumato.errors import ArgumentError, RunError
from sfumato.models.gaussian import GaussianModel
from sfumato.models.registry import build_process
from sfumato.process.discrete import DiscreteSchedule

# The first version that reads what is written here.
VERSION = "0.30.0"

# No predicted pixel is as large: diffusers' limit of a threshold, where ours has none.
_UNREACHED = 1e4

# Steps of a pipeline of diffusers that does not visit every level.
_STEPS = 50

_PREDICTIONS = {"epsilon": "eps", "sample": "x_0", "v_prediction": "v"}
_SCHEDULES = {
    "linear": "linear",
    "scaled_linear": "scaled-linear",
    "sigmoid": "sigmoid",
    "squaredcos_cap_v2": "cosine",
}
_VARIANCES = {
    "fixed_small": "beta_tilde",
    "fixed_small_log": "beta_tilde",
    "fixed_large": "beta",
    "learned_range": "learned",
}
_GRIDS = {each: each for each in ("leading", "trailing", "linspace")}

# Settings that are read, with the defaults of diffusers.
_BETAS: dict[str, Any] = {
    "num_train_timesteps": 1000,
    "beta_start": 1e-4,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "trained_betas": None,
    "prediction_type": "epsilon",
}
_LATENT_BETAS = {**_BETAS, "beta_start": 0.00085, "beta_end": 0.012}
_ZERO_SNR: dict[str, Any] = {"rescale_betas_zero_snr": False}
_GRID: dict[str, Any] = {"timestep_spacing": "leading", "steps_offset": 0}
_CLIPPING: dict[str, Any] = {"clip_sample": True, "clip_sample_range": 1.0}
_THRESHOLDING: dict[str, Any] = {
    "thresholding": False,
    "dynamic_thresholding_ratio": 0.995,
    "sample_max_value": 1.0,
}
_FLOW_SIGMAS: dict[str, Any] = {"use_flow_sigmas": False, "flow_shift": 1.0}
_DDPM = {
    **(_BETAS | _ZERO_SNR | _GRID | _CLIPPING | _THRESHOLDING),
    "variance_type": "fixed_small",
}
_DDIM = {**(_BETAS | _ZERO_SNR | _GRID | _CLIPPING | _THRESHOLDING), "set_alpha_to_one": True}


_SOLVER = {**(_BETAS | _THRESHOLDING | _FLOW_SIGMAS), "variance_type": None}
_FLOW: dict[str, Any] = {"num_train_timesteps": 1000, "shift": 1.0}
_DYNAMIC: dict[str, Any] = {"use_dynamic_shifting": False}
_EDM: dict[str, Any] = {
    "prediction_type": "epsilon",
    "sigma_min": 0.002,
    "sigma_max": 80.0,
    "sigma_data": 0.5,
    "rho": 7.0,
}

# For each class of schedulers our sampler, which draws as it does or in its place, and its settings
# that are read.
_KINDS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "DDPMScheduler": ("ancestral", _DDPM),
    "DDPMParallelScheduler": ("ancestral", _DDPM),
    "DDIMScheduler": ("ddim", _DDIM),
    "DDIMParallelScheduler": ("ddim", _DDIM),
    "DEISMultistepScheduler": ("unipc", _BETAS | _THRESHOLDING | _FLOW_SIGMAS),
    "DPMSolverMultistepScheduler": ("dpm++2m", _SOLVER | _ZERO_SNR),
    "DPMSolverSDEScheduler": ("dpm++2m-sde", _LATENT_BETAS),
    "DPMSolverSinglestepScheduler": ("dpm++2m", _SOLVER),
    "EulerAncestralDiscreteScheduler": ("euler-ancestral", _BETAS | _ZERO_SNR),
    "EulerDiscreteScheduler": ("euler", {**_BETAS, **_ZERO_SNR, "timestep_type": "discrete"}),
    "HeunDiscreteScheduler": ("heun", {**_LATENT_BETAS, **_CLIPPING, "clip_sample": False}),
    "KDPM2AncestralDiscreteScheduler": ("euler-ancestral", _LATENT_BETAS),
    "KDPM2DiscreteScheduler": ("heun", _LATENT_BETAS),
    "LMSDiscreteScheduler": ("unipc", _BETAS),
    "PNDMScheduler": ("unipc", _BETAS),
    "SASolverScheduler": ("dpm++2m-sde", _SOLVER),
    "UniPCMultistepScheduler": (
        "unipc",
        _BETAS | _THRESHOLDING | _FLOW_SIGMAS | _ZERO_SNR | _DYNAMIC,
    ),
    "FlowMatchEulerDiscreteScheduler": ("euler", {**_FLOW, **_DYNAMIC, "invert_sigmas": False}),
    "FlowMatchHeunDiscreteScheduler": ("heun", _FLOW),
    "EDMEulerScheduler": ("euler", _EDM),
    "EDMDPMSolverMultistepScheduler": ("dpm++2m", _EDM | _THRESHOLDING),
}

# Samplers that draw as theirs do.
_SAME = ("ancestral", "ddim")

# From the first of a flow's times, 1/1000, to what is next to noise: 2 log((1 - t)/t).
_FLOW_ENDS = {"log_snr_max": 13.8, "log_snr_min": -18.4}

# The one value of a setting that is known.
_ONLY: Mapping[str, Any] = {
    "timestep_type": "discrete",
    "invert_sigmas": False,
    "sigma_data": 0.5,
}

# What only says how a scheduler samples, and what versions of old wrote.
_PASSED_OVER = frozenset(
    {
        "algorithm_type",
        "base_image_seq_len",
        "base_shift",
        "corrector_order",
        "disable_corrector",
        "euler_at_final",
        "final_sigmas_type",
        "interpolation_type",
        "lambda_min_clipped",
        "lower_order_final",
        "max_image_seq_len",
        "max_shift",
        "noise_sampler_seed",
        "predict_x0",
        "predictor_order",
        "shift_terminal",
        "sigma_schedule",
        "skip_prk_steps",
        "solver_order",
        "solver_p",
        "solver_type",
        "stochastic_sampling",
        "tau_func",
        "tensor_format",
        "time_shift_type",
        "timestep_values",
        "use_beta_sigmas",
        "use_exponential_sigmas",
        "use_karras_sigmas",
        "use_lu_lambdas",
    }
).union(*(settings for _, settings in _KINDS.values()))


@dataclass(frozen=True, slots=True)
class ReadScheduler:
    """What a scheduler's settings mean here: changes to our settings, and notes for the user."""

    process: Mapping[str, Any]
    sampling: Mapping[str, Any]
    parameterisation: str
    learned_variance: bool = False
    time_embedding: str = "step"
    notes: list[str] = field(default_factory=list)


def read_scheduler(given: Mapping[str, Any]) -> ReadScheduler:
    """The meaning of a scheduler's settings.

    Raises:
        RunError: if the scheduler, or one of its settings, is not known here.
    """
    name = str(given.get("_class_name"))
    if name not in _KINDS:
        raise RunError(f"a scheduler {name} is not known here; {', '.join(_KINDS)} are.")
    sampler, defaults = _KINDS[name]
    settings = {key: given.get(key, default) for key, default in defaults.items()}
    for key, value in given.items():
        unknown = key not in _PASSED_OVER and not key.startswith("_") and value is not None
        if unknown or (key in settings and value != _ONLY.get(key, value)):
            raise RunError(f"a {name} whose {key} is {value!r} is not known here.")
    if "shift" in settings:
        return _of_flow(name, sampler, settings, settings["shift"])
    if settings.get("use_flow_sigmas"):
        return _of_flow(name, sampler, settings, settings["flow_shift"])
    if "sigma_data" in settings:
        return _of_edm(name, sampler, settings)
    return _of_betas(name, sampler, settings)


def _drawn(name: str, sampler: str, grid: str, steps: int) -> str:
    return (
        f"its process is that of its {name}, and {sampler} samples from it here, in {steps} steps "
        f"of the grid {grid} unless others are asked for"
    )


def _of_flow(name: str, sampler: str, settings: Mapping[str, Any], shift: float) -> ReadScheduler:
    count, predicted = settings["num_train_timesteps"], settings.get("prediction_type")
    if count != 1000 or predicted not in (None, "flow_prediction"):
        raise RunError(
            f"a flow of {count} steps that predicts {predicted} is not known here; one of 1000 "
            "that predicts flow_prediction is."
        )
    grid = "uniform-time"
    notes = [_drawn(name, sampler, grid, _STEPS)]
    if settings.get("use_dynamic_shifting"):  # then they pass over the fixed shift
        shift = 1.0
        notes.append(
            f"a pipeline chooses the shift of its {name} by the size of a picture "
            "(use_dynamic_shifting); here there is none"
        )
    return ReadScheduler(
        {"schedule": "rectified-flow", "options": {**_FLOW_ENDS, "shift": -2 * math.log(shift)}},
        {"sampler": sampler, "steps": _STEPS, "grid": grid, **_clipping(settings)},
        "flow",
        time_embedding="flow-time",
        notes=notes,
    )


def _of_edm(name: str, sampler: str, settings: Mapping[str, Any]) -> ReadScheduler:
    if settings["prediction_type"] != "epsilon":
        raise RunError(
            f"a {name} whose prediction_type is {settings['prediction_type']!r} is not known here."
        )
    grid = "karras"
    return ReadScheduler(
        {
            "schedule": "edm",
            "options": {key: settings[key] for key in ("sigma_min", "sigma_max", "rho")},
        },
        {"sampler": sampler, "steps": _STEPS, "grid": grid, **_clipping(settings)},
        "edm-half",
        time_embedding="edm-noise",
        notes=[_drawn(name, sampler, grid, _STEPS)],
    )


def _of_betas(name: str, sampler: str, settings: Mapping[str, Any]) -> ReadScheduler:
    process = _process(settings)
    if sampler in _SAME:
        sampling, notes = _as_theirs(sampler, settings), []
    else:
        steps, grid = min(_STEPS, settings["num_train_timesteps"]), "trailing"
        sampling = {"sampler": sampler, "steps": steps, "grid": grid}
        notes = [_drawn(name, sampler, grid, steps)]
    if not settings.get("set_alpha_to_one", True):
        least_noisy = build_process(ProcessSettings(**process)).least_noisy
        sampling["options"]["final_alpha_bar"] = float(least_noisy.alpha**2)
    return ReadScheduler(
        process,
        sampling | _clipping(settings),
        _known(_PREDICTIONS, "prediction_type", settings),
        settings.get("variance_type") in ("learned", "learned_range"),
        notes=notes,
    )


def _known(meanings: Mapping[str, str], key: str, settings: Mapping[str, Any]) -> str:
    """Our word for the value of a setting."""
    if settings[key] not in meanings:
        raise RunError(f"a {key} {settings[key]!r} is not known here; {', '.join(meanings)} are.")
    return meanings[settings[key]]


def _process(settings: Mapping[str, Any]) -> dict[str, Any]:
    count, betas = settings["num_train_timesteps"], settings["trained_betas"]
    options: dict[str, Any]
    if betas is not None:
        schedule, options = "given", {"betas": betas}
    elif (schedule := _known(_SCHEDULES, "beta_schedule", settings)) == "cosine":
        options = {}
    else:
        ends = {key: settings[key] for key in ("beta_start", "beta_end")}
        options = {**ends, "reference_levels": count}
    return {
        "schedule": schedule,
        "num_levels": count,
        "options": options,
        "zero_terminal_snr": bool(settings.get("rescale_betas_zero_snr", False)),
    }


def _as_theirs(sampler: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """How DDPMScheduler and DDIMScheduler sample."""
    grid = _known(_GRIDS, "timestep_spacing", settings)
    offset = settings["steps_offset"] if grid == "leading" else 0
    most = settings["num_train_timesteps"] // (1 + offset)
    options: dict[str, Any]
    if sampler == "ancestral":
        variance = _known(_VARIANCES, "variance_type", settings)
        # diffusers leaves out the noise of step 0 alone, which is not visited with an offset.
        noisy = offset > 0 and variance == "beta"
        steps, options = most, {"variance": variance, "last_step_noise": noisy}
    else:
        steps, options = min(_STEPS, most), {"unclipped_eps": True}
    return {
        "sampler": sampler,
        "options": options,
        "steps": steps,
        "grid": grid,
        "grid_offset": offset,
    }


def _clipping(settings: Mapping[str, Any]) -> dict[str, Any]:
    if settings.get("thresholding"):
        most = settings["sample_max_value"]
        if most >= _UNREACHED:
            return {"clip": 1.0, "threshold": settings["dynamic_thresholding_ratio"]}
        if most == 1:  # which leaves plain clipping
            return {"clip": 1.0}
        raise RunError(
            f"a sample_max_value {most} is not known here; 1, and {_UNREACHED:g} or more, are."
        )
    return {"clip": settings["clip_sample_range"]} if settings.get("clip_sample") else {}


def write_scheduler(model: GaussianModel, schedule: DiscreteSchedule) -> dict[str, Any]:
    """The settings of a DDPMScheduler that draws from the model.

    Raises:
        ArgumentError: if diffusers has no such scheduler, and why.
    """
    network, sampling = model.settings.network, model.settings.sampling
    predicted = {own: their for their, own in _PREDICTIONS.items()}
    if network.parameterisation not in predicted:
        raise ArgumentError(
            f"diffusers' DDPMScheduler has no parameterisation {network.parameterisation!r}; fit "
            f"with network.parameterisation={' or '.join(predicted)}."
        )
    if sampling.threshold is not None and (sampling.clip or 1.0) != 1:
        raise ArgumentError(
            "diffusers brings what is beyond a threshold to 1, and this model to "
            f"{sampling.clip}; fit with sampling.clip=1."
        )
    asked = sampling.options.get("variance", "beta_tilde")
    variance = {"beta": "fixed_large", "learned": "learned_range"}.get(str(asked), "fixed_small")
    if network.learned_variance:
        variance = "learned_range"
    return {
        "_class_name": "DDPMScheduler",
        "_diffusers_version": VERSION,
        "num_train_timesteps": schedule.num_levels,
        "trained_betas": schedule.beta.tolist(),
        "variance_type": variance,
        "prediction_type": predicted[network.parameterisation],
        "timestep_spacing": "trailing",
        "clip_sample": sampling.clip is not None and sampling.threshold is None,
        "clip_sample_range": sampling.clip or 1.0,
        "thresholding": sampling.threshold is not None,
        "dynamic_thresholding_ratio": sampling.threshold or 0.995,
        "sample_max_value": _UNREACHED,
    }
