"""Sfumato: denoising diffusion models for your own data.

    import sfumato

    run = sfumato.fit("s-curve")
    x = run.sample(1000)

Names are loaded when they are first used, so that the import itself costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from sfumato import samplers as samplers
    from sfumato.config import TrainingSettings as TrainingSettings
    from sfumato.data.table import DataTable as DataTable
    from sfumato.denoisers.denoiser import Denoiser as Denoiser
    from sfumato.denoisers.denoiser import NetworkDenoiser as NetworkDenoiser
    from sfumato.denoisers.denoiser import Prediction as Prediction
    from sfumato.denoisers.guidance import Guided as Guided
    from sfumato.errors import SfumatoError as SfumatoError
    from sfumato.estimator import DiffusionClassifier as DiffusionClassifier
    from sfumato.estimator import DiffusionImputer as DiffusionImputer
    from sfumato.estimator import DiffusionModel as DiffusionModel
    from sfumato.estimator import DiffusionRegressor as DiffusionRegressor
    from sfumato.likelihood.flow import log_prob as log_prob
    from sfumato.likelihood.variational import variational_bound as variational_bound
    from sfumato.networks.mlp import VectorMLP as VectorMLP
    from sfumato.process import grids as grids
    from sfumato.process import parameterisations as parameterisations
    from sfumato.process import schedules as schedules
    from sfumato.process.noise import NoiseLevel as NoiseLevel
    from sfumato.process.streams import Noise as Noise
    from sfumato.runs.distill import distill as distill
    from sfumato.runs.doctor.findings import doctor as doctor
    from sfumato.runs.explorer.offline import explore as explore
    from sfumato.runs.fit import fit as fit
    from sfumato.runs.fit import fit_records as fit_records
    from sfumato.runs.fit import resume_fit
    from sfumato.runs.report import write_report as write_report
    from sfumato.runs.run import Run as Run
    from sfumato.runs.run import open_run
    from sfumato.samplers.driver import sample_chunks as sample_chunks
    from sfumato.samplers.inpainting import Inpainting as Inpainting
    from sfumato.training.loop import train as train
    from sfumato.training.regression import regression_training as regression_training
    from sfumato.versions import show_versions as show_versions

    open = open_run  # noqa: A001
    resume = resume_fit

# Where each public name lives, and what it is called there; a module by itself has no name.
_HOME: dict[str, tuple[str, str]] = {
    # the faces
    "fit": ("sfumato.runs.fit", "fit"),
    "fit_records": ("sfumato.runs.fit", "fit_records"),
    "resume": ("sfumato.runs.fit", "resume_fit"),
    "open": ("sfumato.runs.run", "open_run"),
    "distill": ("sfumato.runs.distill", "distill"),
    "Run": ("sfumato.runs.run", "Run"),
    "DataTable": ("sfumato.data.table", "DataTable"),
    "DiffusionModel": ("sfumato.estimator", "DiffusionModel"),
    "DiffusionImputer": ("sfumato.estimator", "DiffusionImputer"),
    "DiffusionRegressor": ("sfumato.estimator", "DiffusionRegressor"),
    "DiffusionClassifier": ("sfumato.estimator", "DiffusionClassifier"),
    "explore": ("sfumato.runs.explorer.offline", "explore"),
    "doctor": ("sfumato.runs.doctor.findings", "doctor"),
    "write_report": ("sfumato.runs.report", "write_report"),
    "SfumatoError": ("sfumato.errors", "SfumatoError"),
    "show_versions": ("sfumato.versions", "show_versions"),
    # the building blocks
    "NoiseLevel": ("sfumato.process.noise", "NoiseLevel"),
    "Noise": ("sfumato.process.streams", "Noise"),
    "schedules": ("sfumato.process.schedules", ""),
    "grids": ("sfumato.process.grids", ""),
    "parameterisations": ("sfumato.process.parameterisations", ""),
    "VectorMLP": ("sfumato.networks.mlp", "VectorMLP"),
    "Denoiser": ("sfumato.denoisers.denoiser", "Denoiser"),
    "NetworkDenoiser": ("sfumato.denoisers.denoiser", "NetworkDenoiser"),
    "Prediction": ("sfumato.denoisers.denoiser", "Prediction"),
    "Guided": ("sfumato.denoisers.guidance", "Guided"),
    "Inpainting": ("sfumato.samplers.inpainting", "Inpainting"),
    "samplers": ("sfumato.samplers", ""),
    "sample_chunks": ("sfumato.samplers.driver", "sample_chunks"),
    "log_prob": ("sfumato.likelihood.flow", "log_prob"),
    "variational_bound": ("sfumato.likelihood.variational", "variational_bound"),
    "regression_training": ("sfumato.training.regression", "regression_training"),
    "TrainingSettings": ("sfumato.config", "TrainingSettings"),
    "train": ("sfumato.training.loop", "train"),
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'sfumato' has no attribute {name!r}")
    module, own = _HOME[name]
    home = import_module(module)
    return getattr(home, own) if own else home


def __dir__() -> list[str]:
    return __all__
