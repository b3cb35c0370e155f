"""Measure and write bench/results: `python -m bench`, or `python -m bench NAME ...` for some."""

import argparse
import datetime
import resource
import sys
import time
import warnings
from importlib import import_module
from pathlib import Path

import torch

from bench.machine import describe
from bench.measure import Page

NAMES = (
    "time_to_floor",
    "calls_to_floor",
    "few_calls",
    "few_tables",
    "table_curve",
    "exact_flows",
    "step_cost",
    "sampling_rate",
    "scaling",
    "worth_using",
    "numeric",
    "start_up",
    "picture_networks",
    "few_pictures",
    "time_to_quality",
    "decoding",
    "tables",
    "small_tables",
    "table_cost",
    "digits",
    "predictions",
    "explorer",
    "explorer_page",
)
ON_A_GPU = ("gpu_pictures",)
"""Measured where they are named, as not every machine has one."""

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    known = (*NAMES, *ON_A_GPU)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}")
    names = parser.parse_args().names or NAMES
    unknown = [name for name in names if name not in known]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]!r}; there are {', '.join(known)}")
    warnings.simplefilter("ignore")  # the peers' own
    torch.set_num_threads(1)
    RESULTS.mkdir(exist_ok=True)
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        began = time.perf_counter()
        page: Page = import_module(f"bench.{name}").measure()
        _write(name, page, time.perf_counter() - began)


def _write(name: str, page: Page, seconds: float) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    parts = [f"# {page.title}"]
    if page.figure is not None:
        page.figure.savefig(RESULTS / f"{name}.png", dpi=150)
        parts.append(f"![{page.title}]({name}.png)")
    parts += page.parts
    parts.append(
        f"`python -m bench {name}`, {datetime.datetime.now(tz=datetime.UTC).date()}, in "
        f"{seconds:.0f} s; {describe()}; peak memory of the whole process {peak:.0f} MiB."
    )
    text = "\n\n".join(parts) + "\n"
    (RESULTS / f"{name}.md").write_text(text, encoding="utf-8")
    print(text, flush=True)


if __name__ == "__main__":
    main()
