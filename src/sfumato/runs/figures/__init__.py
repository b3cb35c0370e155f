"""The figures and animations of a run, one module for each kind of data."""
