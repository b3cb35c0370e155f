"""A virtual environment for each peer of `bench.isolated`, and a run in it within a time limit.

Environments and what was drawn are kept in the folder that BENCH_FOLDER names (else .bench), so that
the whole can be interrupted; remove a part of it to have that made anew.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import venv
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from bench.isolated import IsolatedPeer

ROOT = Path(__file__).parent.parent
KEPT = Path(os.environ.get("BENCH_FOLDER", ROOT / ".bench")).resolve()


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a peer gave.

    Args:
        rows: the rows drawn, or None if it failed.
        seconds: processor seconds to fit and to draw.
        error: why it failed, in a line.
    """

    rows: pd.DataFrame | None
    seconds: tuple[float, float] = (0.0, 0.0)
    error: str = ""


def drawn_by(
    peer: IsolatedPeer, name: str, learn: pd.DataFrame, categories: list[str], minutes: float
) -> Drawn:
    """Let a peer learn a set and draw as many rows; what is kept from before is not made again.

    Args:
        peer: the library.
        name: of the set.
        learn: rows to learn from.
        categories: names of the columns that are categories.
        minutes: of processor time, after which the peer is stopped.
    """
    folder = KEPT / "drawn" / f"{name}-{peer.module}"
    if not (folder / "seconds.json").exists() and not (folder / "error.txt").exists():
        folder.mkdir(parents=True, exist_ok=True)
        learn.iloc[: peer.rows].to_csv(folder / "learn.csv", index=False)
        drawn = min(len(learn), peer.drawn or len(learn))
        job = {"categories": categories, "coded": peer.coded, "seed": 0, "draw": drawn}
        (folder / "job.json").write_text(json.dumps(job))
        error = _run(peer, folder, minutes, "bench.isolated")
        if error:
            (folder / "error.txt").write_text(error)
    return kept(folder, categories)


def kept(folder: Path, categories: list[str]) -> Drawn:
    """What a folder holds of a run."""
    if (folder / "error.txt").exists():
        return Drawn(None, error=(folder / "error.txt").read_text())
    rows = pd.read_csv(
        folder / "drawn.csv",
        dtype=dict.fromkeys(categories, str),
        keep_default_na=False,
    )
    seconds = json.loads((folder / "seconds.json").read_text())
    return Drawn(rows, (seconds["fit"], seconds["draw"]))


def laws_of(
    peer: IsolatedPeer,
    name: str,
    rows: tuple[np.ndarray, np.ndarray, np.ndarray],
    draws: int,
    minutes: float,
) -> tuple[np.ndarray | None, tuple[float, float]]:
    """Let a peer learn y given x and draw y for new rows; what is kept is not made again.

    Args:
        peer: the library.
        name: of the set and its fold.
        rows: x, y, and x of the new rows.
        draws: for each new row.
        minutes: of processor time, after which the peer is stopped.

    Returns:
        `(new rows, draws)`, None if it failed, and processor seconds to fit and to draw.
    """
    folder = KEPT / "laws" / f"{name}-{peer.module}"
    if not (folder / "seconds.json").exists() and not (folder / "error.txt").exists():
        folder.mkdir(parents=True, exist_ok=True)
        x, y, new = rows
        np.savez(folder / "rows.npz", x=x, y=y, new=new)
        (folder / "job.json").write_text(json.dumps({"seed": 0, "draw": draws}))
        error = _run(peer, folder, minutes, "bench.isolated.laws")
        if error:
            (folder / "error.txt").write_text(error)
    if (folder / "error.txt").exists():
        return None, (0.0, 0.0)
    seconds = json.loads((folder / "seconds.json").read_text())
    return np.load(folder / "drawn.npy"), (seconds["fit"], seconds["draw"])


def _run(peer: IsolatedPeer, folder: Path, minutes: float, entry: str) -> str:
    """Run a peer by the module of that name; why it failed, or nothing."""
    try:
        command = [str(_python(peer)), "-m", entry, peer.module, str(folder)]
        paths = [str(ROOT)]
        if not peer.alone and not peer.needs:
            paths += [each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]
        options = {
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONWARNINGS": "ignore",
        }
        subprocess.run(
            ["nice", *command], check=True, cwd=ROOT, env=os.environ | options,
            capture_output=True, text=True, preexec_fn=partial(_limit, minutes),
        )  # fmt: skip
    except subprocess.CalledProcessError as error:
        if error.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
            return f"did not end within {minutes:.0f} minutes of processor time"
        lines = [line for line in error.stderr.splitlines() if line.strip()]
        return lines[-1][:300] if lines else f"ended with code {error.returncode}"
    return ""


def _limit(minutes: float) -> None:
    """Processor time of the process that is about to begin."""
    seconds = int(60 * minutes)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))


def _python(peer: IsolatedPeer) -> Path:
    """The interpreter of a peer's environment, which is made if it is not there."""
    if not peer.alone and not peer.needs:
        return Path(sys.executable)
    folder = KEPT / "environments" / peer.module
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        venv.create(folder, with_pip=True, clear=True)
        install = ["nice", str(python), "-m", "pip", "install", "--quiet"]
        for options in (["--no-deps", *peer.alone] if peer.alone else [], [*peer.needs]):
            if options:
                subprocess.run([*install, *options], check=True, capture_output=True, text=True)
        (folder / "ready").touch()
    return python
