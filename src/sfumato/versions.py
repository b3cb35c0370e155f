"""What this is and what it runs on: for model cards, and for who reports a fault."""

import os
import platform
import re
import sys
from importlib import metadata

# Packages that change numbers; the rest change what can be read and written.
_OF_NUMBERS = ("sfumato", "torch", "numpy", "scipy")
_NOT_OF_USERS = re.compile(r"extra == ['\"](dev|bench)['\"]")


def installed(*packages: str) -> dict[str, str]:
    """The versions of those packages that are installed; unnamed, of those that change numbers."""
    found = {}
    for name in packages or _OF_NUMBERS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def show_versions() -> None:
    """Print the versions of Python, PyTorch and all packages that Sfumato uses, and the machine."""
    import torch

    requirements = (line for line in metadata.requires("sfumato") or [])
    used = {
        re.split(r"[^\w.-]", line, maxsplit=1)[0]
        for line in requirements
        if not _NOT_OF_USERS.search(line)
    }
    facts = {
        "python": sys.version.split()[0],
        "system": platform.platform(),
        "processors": str(os.cpu_count()),
        "graphics card": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "threads": str(torch.get_num_threads()),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        **installed("sfumato", *sorted(used - {"sfumato"})),
    }
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name:{width}}  {value}")
