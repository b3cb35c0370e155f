"""One profile for the whole suite: hypothesis tries the same cases every time, on one thread.

Two workers with two threads each would wait for one another on a machine of two cores.
"""

import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything imports PyTorch

import jaxtyping
import pytest
from hypothesis import settings

from command_line import fitted, in_an_empty_folder
from fitted import (
    moons,
    of_array,
    of_classes,
    of_file,
    of_orders,
    of_pictures,
    of_table,
    own_moons,
    runs,
    s_curve,
)
from forked import forks
from quick import FLOORS, quick_measures
from shapes import check_once

# The floors whose functions say which shapes they take and give. Tests of the floors above call
# them by the hundred thousand, and checking would take half of their time; CHECK_SHAPES=1 does it.
_SHAPES_ARE_CHECKED = {"process", "denoisers", "samplers", "likelihood", "training"}


def _floor(path: Path) -> str:
    return path.relative_to(Path(__file__).parent).parts[0]


@pytest.fixture(autouse=True, scope="module")
def quick_above_the_measures(request: pytest.FixtureRequest) -> Iterator[None]:
    if _floor(request.path) in FLOORS:
        with quick_measures():
            yield
    else:
        yield


@pytest.fixture(autouse=True, scope="session")
def without_waiting_for_the_disk() -> Iterator[None]:
    """No test cuts the power: what was written is there, on the disk or on its way to it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    floor = _floor(item.path)
    checked = floor in _SHAPES_ARE_CHECKED or "CHECK_SHAPES" in os.environ
    jaxtyping.config.update("jaxtyping_disable", not checked)


def pytest_collection_finish() -> None:
    """What the imports left behind stays: to look through it again and again took a tenth."""
    gc.collect()
    gc.freeze()


# Files of tests lie in memory where it has room for them: to remove one may take a disk
# milliseconds, and every test leaves some.
_MEMORY = Path("/dev/shm")  # Linux's
if os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > 2**30:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))

gc.set_threshold(50_000, 20, 20)
check_once()
settings.register_profile("same-every-time", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("same-every-time")

__all__ = [
    "fitted",
    "forks",
    "in_an_empty_folder",
    "moons",
    "of_array",
    "of_classes",
    "of_file",
    "of_orders",
    "of_pictures",
    "of_table",
    "own_moons",
    "runs",
    "s_curve",
]
