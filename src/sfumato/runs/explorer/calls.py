"""Network calls, counted, and given up between two of them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sfumato.models.model import Model


class Abandoned(Exception):  # noqa: N818 - not an error, but a way to leave
    """Nobody waits any more for what was being drawn."""


def _never() -> bool:
    return False


def ignore_progress(done: int, of: int) -> None:
    """For draws whose progress is not shown."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Who waits for what is computed.

    Args:
        progress: how many steps of how many are done.
        is_given_up: whether it waits no more; asked before each call of the network.
    """

    progress: Callable[[int, int], None] = ignore_progress
    is_given_up: Callable[[], bool] = _never


NOBODY = Listener()


@dataclass
class Count:
    """Of network calls."""

    calls: int = 0


@contextmanager
def counted(model: Model, is_given_up: Callable[[], bool]) -> Iterator[Count]:
    """Count the calls of a model's networks; whatever is drawn is left when it is given up.

    Args:
        model: whose network, and map if there is one, are called within.
        is_given_up: asked before each call.

    Raises:
        Abandoned: then.
    """
    count = Count()

    def note(*_: object) -> None:
        if is_given_up():
            raise Abandoned
        count.calls += 1

    networks = [model.denoiser.network] + ([model.few.network] if model.few is not None else [])
    hooks = [network.register_forward_pre_hook(note) for network in networks]
    try:
        yield count
    finally:
        for hook in hooks:
            hook.remove()
