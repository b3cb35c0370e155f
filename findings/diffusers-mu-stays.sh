#!/usr/bin/env bash
# Versions: diffusers 0.42.1, torch 2.13.0 (Python 3.11, Linux x86-64).
# Behaviour: a flow's shift may be chosen for each size of picture: with use_dynamic_shifting=True a
#   pipeline calls set_timesteps(n, mu=...). Without mu, UniPC (and FlowMatchEuler) refuse. DPMSolver
#   (multi- and singlestep) and DEIS sample with flow_shift; and after one call with mu every later
#   call without mu has the mu of that call, because mu is written into the scheduler's config. From
#   then on config.flow_shift and config["flow_shift"] differ, and save_pretrained writes the latter.
#   Nothing is said.
# One would guess: what a call is given holds for that call, a FrozenDict refuses to be written to,
#   and one setting means the same in five schedulers of one library.
# Why it matters: schedulers are swapped by from_config while a program runs. A service that draws
#   one picture with mu, and then others without, draws these along levels that depend on what was
#   drawn before; a scheduler that is loaded again draws others. Give mu in each call.
# Source: scheduling_dpmsolver_multistep.py, set_timesteps(): "self.config.flow_shift = np.exp(mu)";
#   likewise in scheduling_dpmsolver_singlestep.py and scheduling_deis_multistep.py. In
#   configuration_utils.py FrozenDict looks for its mark by hasattr(self, "__frozen"), a name that
#   Python has made _FrozenDict__frozen where it was set: it never refuses.
# Output seen (the levels of noise of four steps; flow_shift is 3):
#   UniPCMultistep       mu None  refused
#   UniPCMultistep       mu 0.0   1.000 0.750 0.501 0.251  config.flow_shift 3, config['flow_shift'] 3
#   UniPCMultistep       mu None  refused
#   DPMSolverMultistep   mu None  1.000 0.900 0.750 0.500  config.flow_shift 3, config['flow_shift'] 3
#   DPMSolverMultistep   mu 0.0   0.999 0.749 0.500 0.250  config.flow_shift 1, config['flow_shift'] 3
#   DPMSolverMultistep   mu None  0.999 0.749 0.500 0.250  config.flow_shift 1, config['flow_shift'] 3
#   and DPMSolverSinglestep and DEISMultistep as DPMSolverMultistep
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  diffusers==0.42.1 torch==2.13.0

"$folder/venv/bin/python" - <<'PYTHON' 2>"$folder/log"
import diffusers

SETTINGS = {
    "use_flow_sigmas": True,
    "prediction_type": "flow_prediction",
    "flow_shift": 3.0,
    "use_dynamic_shifting": True,
}
found = {}
for name in ("UniPCMultistep", "DPMSolverMultistep", "DPMSolverSinglestep", "DEISMultistep"):
    scheduler = getattr(diffusers, f"{name}Scheduler")(**SETTINGS)
    for mu in (None, 0.0, None):
        try:
            scheduler.set_timesteps(4, mu=mu)
        except ValueError:
            found.setdefault(name, []).append("refused")
            print(f"{name:<20} mu {mu!s:<5} refused")
            continue
        levels = " ".join(f"{float(sigma):.3f}" for sigma in scheduler.sigmas[:4])
        found.setdefault(name, []).append(levels)
        config = scheduler.config
        print(
            f"{name:<20} mu {mu!s:<5} {levels}  "
            f"config.flow_shift {config.flow_shift:g}, config['flow_shift'] {config['flow_shift']:g}"
        )
for name, (before, _, after) in found.items():
    known = before == after == "refused" if name == "UniPCMultistep" else before != after
    assert known, "the behaviour has changed"
PYTHON
