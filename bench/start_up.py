"""What importing and asking for help cost, against PyTorch alone: `python -m bench.start_up`.

Every command is a fresh process, in turn, several times; medians and the ratio.
"""

import statistics
import subprocess
import sys
import time

_COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import torch": ["-c", "import torch"],
    "import torch, sfumato": ["-c", "import torch, sfumato"],
    "import sfumato": ["-c", "import sfumato"],
    "sfumato --help": ["-m", "sfumato", "--help"],
}


def main() -> None:
    """Run it."""
    seconds: dict[str, list[float]] = {name: [] for name in _COMMANDS}
    for _ in range(7):
        for name, arguments in _COMMANDS.items():
            started = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - started)
    torch_alone = statistics.median(seconds["import torch"])
    print("| command | median, s | of `import torch` |\n|---|---|---|")
    for name, measured in seconds.items():
        median = statistics.median(measured)
        print(f"| `{name}` | {median:.3f} | {median / torch_alone:.2f} |")


if __name__ == "__main__":
    main()
