"""In a peer's own environment: `python -m bench.isolated MODULE FOLDER`.

The folder has learn.csv and job.json; drawn.csv and seconds.json are written there.
"""

import json
import sys
import time
import warnings
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd


def main() -> None:
    """Learn, draw, and say how long each took, in processor seconds."""
    module, folder = sys.argv[1], Path(sys.argv[2])
    warnings.simplefilter("ignore")
    job = json.loads((folder / "job.json").read_text())
    types = dict.fromkeys(job["categories"], str)
    learn = pd.read_csv(
        folder / "learn.csv", dtype=types, keep_default_na=False, float_precision="round_trip"
    )
    levels = {}
    if job["coded"]:
        for name in job["categories"]:
            codes, levels[name] = pd.factorize(learn[name], sort=True)
            learn[name] = codes
    fit = import_module(f"bench.isolated.{module}").fit
    began = time.process_time()
    draw = fit(learn, job["categories"], job["seed"])
    fitted = time.process_time()
    drawn = draw(job["draw"])
    seconds = {"fit": fitted - began, "draw": time.process_time() - fitted}
    for name, values in levels.items():
        codes = drawn[name].to_numpy().astype(float).round().astype(int)
        drawn[name] = np.asarray(values)[codes.clip(0, len(values) - 1)]
    drawn[list(learn.columns)].to_csv(folder / "drawn.csv", index=False)
    (folder / "seconds.json").write_text(json.dumps(seconds))


main()
