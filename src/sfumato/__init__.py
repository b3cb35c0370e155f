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
    from sfumato.fitting import fit as fit
    from sfumato.fitting import fit_table as fit_table
    from sfumato.model import Model as Model
    from sfumato.report import write_report as write_report
    from sfumato.run import Run as Run
    from sfumato.run import open_run as open_run
    from sfumato.run import open_table_run as open_table_run
    from sfumato.table_run import TableRun as TableRun

_HOME = {
    "DiffusionImputer": "sfumato.estimator",
    "DiffusionModel": "sfumato.estimator",
    "Model": "sfumato.model",
    "Run": "sfumato.run",
    "SfumatoError": "sfumato.errors",
    "TableRun": "sfumato.table_run",
    "fit": "sfumato.fitting",
    "fit_table": "sfumato.fitting",
    "open_run": "sfumato.run",
    "open_table_run": "sfumato.run",
    "write_report": "sfumato.report",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'sfumato' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
