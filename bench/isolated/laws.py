"""In a peer's own environment: `python -m bench.isolated.laws MODULE FOLDER`.

The folder has rows.npz (x, y, new) and job.json; drawn.npy, values of y for each row of `new`, and
seconds.json are written there.
"""

import json
import sys
import time
import warnings
from importlib import import_module
from pathlib import Path

import numpy as np


def main() -> None:
    """Learn, draw, and say how long each took, in processor seconds."""
    module, folder = sys.argv[1], Path(sys.argv[2])
    warnings.simplefilter("ignore")
    job = json.loads((folder / "job.json").read_text())
    rows = np.load(folder / "rows.npz")
    fit = import_module(f"bench.isolated.{module}").fit
    began = time.process_time()
    draw = fit(rows["x"], rows["y"], job["seed"])
    fitted = time.process_time()
    drawn = draw(rows["new"], job["draw"])
    seconds = {"fit": fitted - began, "draw": time.process_time() - fitted}
    np.save(folder / "drawn.npy", np.asarray(drawn, np.float64))
    (folder / "seconds.json").write_text(json.dumps(seconds))


main()
