"""Runs: data, fitting, the run folder, and what is measured, drawn and reported of it."""
