"""Command lines one after another in processes that torchrun starts once for all of them."""

import shlex
import sys

from sfumato import distributed
from sfumato.cli import main

if __name__ == "__main__":
    with distributed.joined():
        for line in sys.argv[1:]:
            sys.argv = ["sfumato", *shlex.split(line)]
            try:
                main()
            except SystemExit as left:
                if left.code:
                    raise
