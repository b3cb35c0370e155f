"""What is wrong with a process or a fitted run: each finding a number, a sentence and a remedy."""

from sfumato.runs.doctor.findings import Findings, doctor
from sfumato.runs.doctor.fit import examine_run
from sfumato.runs.doctor.process import Finding, examine_process, examine_settings
from sfumato.runs.doctor.remedies import Remedied, costs, remedied

__all__ = [
    "Finding",
    "Findings",
    "Remedied",
    "costs",
    "doctor",
    "examine_process",
    "examine_run",
    "examine_settings",
    "remedied",
]
