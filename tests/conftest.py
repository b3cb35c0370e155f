"""One profile for the whole suite: hypothesis tries the same cases every time, on one thread.

Two workers with two threads each would wait for one another on a machine of two cores.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything imports PyTorch

from hypothesis import settings

from command_line import fitted, in_an_empty_folder
from fitted import moons, of_array, of_file, of_pictures, of_table, own_moons, runs

settings.register_profile("same-every-time", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("same-every-time")

__all__ = [
    "fitted",
    "in_an_empty_folder",
    "moons",
    "of_array",
    "of_file",
    "of_pictures",
    "of_table",
    "own_moons",
    "runs",
]
