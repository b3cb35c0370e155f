"""The command line inside this process, and the tiny run that its tests share."""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sfumato.cli import main

Outcome = tuple[int, str, str]
Command = Callable[[str], Outcome]

TINY = (
    "--set training.steps=40 --set training.batch_size=64 --set training.log_every=10 "
    "--set training.snapshots=2 --set sampling.steps=8 --set network.width=16"
)

# A sum that no short decimal gives, so that "exactly" means every bit.
CONSTANT = 0.1 + 0.2


def leave(line: str) -> int:
    """Run a command line; the exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["sfumato", *shlex.split(line)])
        with pytest.raises(SystemExit) as left:
            main()
    return int(left.value.code or 0)


_TINY_RUN: list[Path] = []


def tiny_run(factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on points.csv beside it, which is fitted once in a session."""
    if not _TINY_RUN:
        _TINY_RUN.append(_fit_tiny(factory.mktemp("fitted")))
    return _TINY_RUN[0]


def _fit_tiny(folder: Path) -> Path:
    """Of 400 rows whose third column is constant."""
    rng = np.random.default_rng(0)
    rows = "\n".join(f"{x},{y},{CONSTANT}" for x, y in rng.normal([1000, 0], [5, 1e-3], (400, 2)))
    (folder / "points.csv").write_text(f"a b,c,const\n{rows}\n")
    assert leave(f"fit {folder / 'points.csv'} --quiet --out {folder / 'run'} {TINY}") == 0
    return folder / "run"


def outcomes(capsys: pytest.CaptureFixture[str]) -> Command:
    """A function from a command line to exit code, standard output and standard error."""

    def run(line: str) -> Outcome:
        capsys.readouterr()
        code = leave(line)
        out, err = capsys.readouterr()
        return code, out, err

    return run
