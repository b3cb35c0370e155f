"""The report of a run: one page that carries its pictures, numbers and settings with it."""

from sfumato.runs.report.build import write_report

__all__ = ["write_report"]
