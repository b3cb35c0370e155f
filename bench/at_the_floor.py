"""Is a default fit at the floor, and how long does it take? `python -m bench.at_the_floor`.

For each seed: fit to 10,000 rows of a toy set with the defaults, draw 10,000, and compare with
10,000 fresh real rows that training never saw. Prints a Markdown table and the machine.
"""

import argparse
import platform
import resource
import tempfile
import time
from pathlib import Path

import torch

from sfumato.fitting import fit
from sfumato.run import Run


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", default=["s-curve"])
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()

    print(
        f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} cores, ", end=""
    )
    print(f"Python {platform.python_version()}, PyTorch {torch.__version__}\n")
    print("| set | seed | fit, s | sample, s | AUC | energy (limit of chance) ", end="")
    print("| gap in log density, nats | held-out likelihood short by, nats | verdict |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in arguments.sets:
        for seed in range(arguments.seeds):
            print(_row(name, seed), flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\nPeak memory of the whole process: {peak:.0f} MiB.")


def _row(name: str, seed: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        run = fit(name, out=Path(folder) / "run", seed=seed, quiet=True)
        fitted = time.perf_counter()
        sample = run.sample(10_000)
        sampled = time.perf_counter()
        evaluation = run.evaluate(sample=sample)
        short = _short(run)
    by_name = {measure.name: measure for measure in evaluation.measures}
    auc, energy = by_name["classifier_auc"], by_name["energy_distance"]
    gap = by_name.get("log_density_gap")
    return (
        f"| {name} | {seed} | {fitted - started:.1f} | {sampled - fitted:.1f} | {auc.value:.4f} "
        f"| {energy.value:.1e} ({energy.limit:.1e}) "
        f"| {'unknown' if gap is None else f'{gap.value:.4f}'} | {short} | {evaluation.verdict} |"
    )


def _short(run: Run) -> str:
    """By how much the model's mean log density of unseen rows is below their true one."""
    density = run.known_log_density()
    if density is None:
        return "unknown"
    rows = run.load_data().fresh(99, 4000)
    difference = density(rows) - run.log_prob(rows)
    return f"{difference.mean():.4f} ± {difference.std() / len(rows) ** 0.5:.4f}"


if __name__ == "__main__":
    main()
