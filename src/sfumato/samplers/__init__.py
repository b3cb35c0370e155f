"""Sampling methods, one file each, and the driver that walks them down the noise levels."""

from collections.abc import Callable, Mapping
from typing import Any

from sfumato.samplers import dpm_solver
from sfumato.samplers.ancestral import Ancestral
from sfumato.samplers.ddim import DDIM
from sfumato.samplers.dpm_solver_singlestep import DPMSolverSinglestep
from sfumato.samplers.driver import Stepper
from sfumato.samplers.euler import euler, euler_ancestral
from sfumato.samplers.heun import Heun
from sfumato.samplers.langevin import PredictorCorrector
from sfumato.samplers.runge_kutta import RungeKutta
from sfumato.samplers.unipc import UniPC

# What makes each method; its arguments are settings of the same name.
SAMPLERS: Mapping[str, Callable[..., Stepper[Any]]] = {
    "ancestral": Ancestral,
    "ddim": DDIM,
    "dpm++2m": dpm_solver.dpm_solver_2m,
    "dpm++2m-sde": dpm_solver.dpm_solver_2m_sde,
    "dpm++2s": DPMSolverSinglestep,
    "dpm++3m": dpm_solver.dpm_solver_3m,
    "dpm++3m-sde": dpm_solver.dpm_solver_3m_sde,
    "euler": euler,
    "euler-ancestral": euler_ancestral,
    "heun": Heun,
    "predictor-corrector": PredictorCorrector,
    "runge-kutta": RungeKutta,
    "unipc": UniPC,
}

__all__ = [
    "DDIM",
    "SAMPLERS",
    "Ancestral",
    "DPMSolverSinglestep",
    "Heun",
    "PredictorCorrector",
    "RungeKutta",
    "Stepper",
    "UniPC",
    "dpm_solver",
    "euler",
    "euler_ancestral",
]
