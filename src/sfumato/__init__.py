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
    from sfumato.errors import SfumatoError as SfumatoError
    from sfumato.estimator import DiffusionImputer as DiffusionImputer
    from sfumato.estimator import DiffusionModel as DiffusionModel
    from sfumato.models.gaussian import Model as Model
    from sfumato.runs.fit import fit as fit
    from sfumato.runs.fit import fit_table as fit_table
    from sfumato.runs.report import write_report as write_report
    from sfumato.runs.run import Run as Run
    from sfumato.runs.run import open_run as open_run
    from sfumato.runs.run import open_table_run as open_table_run
    from sfumato.runs.table_run import TableRun as TableRun

_HOME = {
    "DiffusionImputer": "sfumato.estimator",
    "DiffusionModel": "sfumato.estimator",
    "Model": "sfumato.models.gaussian",
    "Run": "sfumato.runs.run",
    "SfumatoError": "sfumato.errors",
    "TableRun": "sfumato.runs.table_run",
    "fit": "sfumato.runs.fit",
    "fit_table": "sfumato.runs.fit",
    "open_run": "sfumato.runs.run",
    "open_table_run": "sfumato.runs.run",
    "write_report": "sfumato.runs.report",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'sfumato' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
