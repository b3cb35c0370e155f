"""A network without memory: the shapes of its weights, before a file is trusted with their size."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


@contextmanager
def shapes_only() -> Iterator[None]:
    """Within it, networks are built of tensors that have shapes and no values."""
    with torch.device("meta"), _WithoutCompiler():
        yield


_OF_OPERANDS = {"mul", "div", "__rdiv__", "__rpow__", "neg", "sin", "cos", "cumsum", "normalize"}


class _WithoutCompiler(TorchFunctionMode):
    """Answers what constructors of networks compute on the device "meta".

    PyTorch loads its compiler or its symbolic algebra there to find the shapes of these, which
    takes a second or more. What is not listed is left to PyTorch.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"]
        match func.__name__:
            case "randn":
                return torch.empty(*args)
            case "arange" if len(args) == 1:
                return torch.empty(args[0], dtype=kwargs.get("dtype", torch.int64))
            case "logspace":
                return torch.empty(args[2], dtype=kwargs.get("dtype"))
            case "eye" if "out" in kwargs:
                return kwargs["out"]
            case "cat" if "dim" in kwargs:
                parts, dim = args[0], kwargs["dim"]
                shape = list(parts[0].shape)
                shape[dim] = sum(part.shape[dim] for part in parts)
                return torch.empty(shape, dtype=parts[0].dtype)
            case name if name in _OF_OPERANDS:
                operands = [each for each in args if isinstance(each, Tensor)]
                of_all = np.broadcast_shapes(*(each.shape for each in operands))
                return torch.empty(of_all, dtype=operands[0].dtype)
        return func(*args, **kwargs)
