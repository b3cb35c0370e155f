"""The command line: a face over the functions that the package exports."""

import atexit
import gc
import os
import sys
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from sfumato.errors import (
    ArgumentError,
    FaultsError,
    ForeignWarning,
    PictureWarning,
    RenamedWarning,
    SfumatoError,
    TableWarning,
    shown,
)

# Before it ends, Python looks for garbage in all that was imported, half a second for PyTorch;
# what is frozen is left out.
atexit.register(gc.freeze)


def main() -> None:
    """Run a command; a user's mistake is one line on standard error and an exit code.

    0 done, 1 training diverged, 2 arguments, 3 data, 4 run or model file, 5 environment (an
    extra, disk or memory that is missing), 130 and 143 stopped by SIGINT and SIGTERM.
    """
    from typer.exceptions import TyperException

    # Each adds its commands.
    from sfumato.cli import compare, edit, explore, fit, judge, predict, sample, show  # noqa: F401
    from sfumato.cli.app import app

    code = 0
    try:
        with warnings.catch_warnings(), _together():
            warnings.showwarning = _shown(warnings.showwarning)
            code = app(standalone_mode=False, prog_name="sfumato") or 0
        if code == 130:  # Ctrl-C outside of fitting: files are whole or not there
            _complain("stopped; nothing was left half-written.")
    except SfumatoError as error:
        code = error.exit_code
        lines = str(error).splitlines() if isinstance(error, FaultsError) else [str(error)]
        _complain(*lines)
    except TyperException as error:
        code = 2
        if message := _explained(error):  # none where the help was the answer
            _complain(message)
    except BrokenPipeError:  # the reader of our output has gone; nothing is left to say
        os._exit(141)
    except OSError as error:  # a full disk, a place that may not be written
        code = 5
        where = f"{error.filename}: " if error.filename else ""
        _complain(f"{where}{error.strerror or error}; what was there before is whole.")
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "allocate memory" not in str(error):
            raise
        code = 5
        _complain("there is not enough memory for this; ask for fewer rows or a smaller network.")
    sys.exit(code)


def _together() -> AbstractContextManager[None]:
    """With the other processes of torchrun, if it has started several."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return nullcontext()
    if sys.argv[1:2] not in (["fit"], ["sample"], ["evaluate"]):
        raise ArgumentError("several processes can fit, sample and evaluate; run this in one.")

    from sfumato.distributed import joined

    return joined()


def _shown(show: Callable[..., None]) -> Callable[..., None]:
    """As `show`, but what a user is to know of settings, models and pictures is one line, once."""
    said = set()

    def shown(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if issubclass(category, RenamedWarning | ForeignWarning | PictureWarning | TableWarning):
            if str(message) not in said:
                _complain(f"{message}.")
            said.add(str(message))
        else:
            show(message, category, *where, **more)

    return shown


def _explained(error: Any) -> str:
    """What was wrong with an option or argument, where, and whose help says more."""
    from pydantic import ValidationError

    from sfumato.config import requirement

    message = error.format_message().rstrip(".")
    context, option, cause = (getattr(error, name, None) for name in ("ctx", "param", "__cause__"))
    if option is not None and isinstance(cause, ValidationError):
        faults, name = cause.errors(), max(option.opts, key=len)
        name = name if name.startswith("-") else option.metavar or name.upper()
        got = faults[0]["input"]
        is_out_of_range = all("ctx" in each and "error" not in each["ctx"] for each in faults)
        shown = got if is_out_of_range else repr(got)
        message = f"`{name}` {requirement(faults)}; got {shown}"
    command = "sfumato" if context is None else context.command_path
    end = "" if message.endswith("?") else "."
    return f"{message}{end} Try `{command} --help`." if message else ""


def _complain(*lines: str) -> None:
    text = "\n  ".join(" ".join(shown(line).split()) for line in lines)
    print(f"sfumato: {text}", file=sys.stderr)
