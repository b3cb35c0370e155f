"""What importing and asking for help cost, against PyTorch alone."""

import subprocess
import sys
import tempfile

from bench.measure import Page, ratio, side_by_side, table
from bench.pictures import bars

_COMMANDS = {
    "sfumato --help": ["-m", "sfumato", "--help"],
    "python -c pass": ["-c", "pass"],
    "import torch": ["-c", "import torch"],
    "import torch, sfumato": ["-c", "import torch, sfumato"],
    "import sfumato": ["-c", "import sfumato"],
    "sfumato fit, one step": [
        "-m", "sfumato", "fit", "s-curve", "--quiet", "--out", "{folder}",
        "--set", "training.steps=1", "--set", "training.snapshots=0",
    ],
}  # fmt: skip


def measure() -> Page:
    """Every command is a fresh process, in turn."""
    timings = side_by_side({name: _Command(each) for name, each in _COMMANDS.items()}, rounds=7)
    torch_alone = timings["import torch"]
    rows = [
        [f"`{name}`", f"{timing.median:.3f}", f"{ratio(timing, torch_alone):.2f}"]
        for name, timing in timings.items()
    ]
    return Page(
        "Start-up",
        [table(["command", "median, s", "of `import torch`"], rows)],
        bars({name: timing.median for name, timing in timings.items()}, "seconds"),
    )


class _Command:
    """A command line of Python's; each call is given a folder that is not there yet."""

    def __init__(self, arguments: list[str]) -> None:
        self.arguments = arguments

    def __call__(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            filled = [each.format(folder=f"{folder}/run") for each in self.arguments]
            subprocess.run([sys.executable, *filled], check=True, capture_output=True)
