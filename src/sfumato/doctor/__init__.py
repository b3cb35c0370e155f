"""What is wrong with a process or a fitted run: each finding a number, a sentence and a remedy."""

from sfumato.doctor.fit import examine_run
from sfumato.doctor.process import Finding, examine_process
from sfumato.doctor.remedies import Remedied, remedied

__all__ = ["Finding", "Remedied", "examine_process", "examine_run", "remedied"]
