"""The machine that a measurement was made on, and what it can do at most."""

import os
import platform
import time
from pathlib import Path

import torch


def describe() -> str:
    """One line: processor, cores, threads in use, versions."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if os.name == "posix" else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.processor() or platform.machine()
    return (
        f"{processor}, {os.cpu_count()} cores of a shared machine, {torch.get_num_threads()} "
        f"thread in use, Python {platform.python_version()}, PyTorch {torch.__version__}"
    )


def matmul_rate(
    rows: int,
    inner: int,
    columns: int,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
) -> float:
    """Operations a second of one matrix product, two to each multiply-add: its best of many."""
    x, y = torch.randn(rows, inner).to(device, dtype), torch.randn(inner, columns).to(device, dtype)
    operations = 2 * rows * inner * columns
    seconds = []
    for _ in range(max(5, int(3e10 / operations))):
        started = time.perf_counter()
        torch.mm(x, y)[0, 0].item()  # a GPU is waited for
        seconds.append(time.perf_counter() - started)
    return operations / sorted(seconds)[len(seconds) // 4]
