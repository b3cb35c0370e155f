"""The command line inside this process, and the tiny run that its tests share.

The package is imported within the functions, for the reason that `fitted.py` gives.
"""

import shlex
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Outcome = tuple[int, str, str]
Command = Callable[[str], Outcome]

TINY = (
    "--set training.steps=40 --set training.batch_size=64 --set training.log_every=10 "
    "--set training.snapshots=2 --set sampling.steps=8 --set network.width=16 "
    "--set network.depth=1"
)

# A sum that no short decimal gives, so that "exactly" means every bit.
CONSTANT = 0.1 + 0.2


@cache
def _once() -> Callable[[Any], Any]:
    """Puts the commands of an application together, which do not change, only once."""
    import typer.main

    return cache(typer.main.get_command)


def leave(line: str) -> int:
    """Run a command line; the exit code."""
    import typer.main

    from sfumato.cli import main

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["sfumato", *shlex.split(line)])
        patch.setattr(typer.main, "get_command", _once())
        with pytest.raises(SystemExit) as left:
            main()
    return int(left.value.code or 0)


@pytest.fixture(name="sfumato")
def in_an_empty_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """From a command line to exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def run(line: str) -> Outcome:
        capsys.readouterr()
        code = leave(line)
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture(scope="session")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on points.csv beside it: 400 rows whose third column is constant."""
    folder = tmp_path_factory.mktemp("fitted")
    rng = np.random.default_rng(0)
    rows = "\n".join(f"{x},{y},{CONSTANT}" for x, y in rng.normal([1000, 0], [5, 1e-3], (400, 2)))
    (folder / "points.csv").write_text(f"a b,c,const\n{rows}\n")
    assert leave(f"fit {folder / 'points.csv'} --quiet --out {folder / 'run'} {TINY}") == 0
    return folder / "run"
