"""How much memory a description may claim: a model is no larger than its file."""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from seqebm.errors import ModelError

# What a component may make besides its parameters: filter banks, windows, graphs.
SPARE = 256 << 20

# Made by size alone, so that the size can be known before the memory is taken.
_BY_SIZE = frozenset(
    (torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn, torch.eye)
)


class Allowance(TorchFunctionMode):
    """Within it, tensors of more than ``size`` bytes in all (and 256 MiB) are not made.

    A description may say that a layer has 10^9 channels while the file has 1 MB of tensors: that
    is found out when the tensor is asked for, not when the memory is used up.

    Raises :class:`ModelError`, which names ``where``.
    """

    def __init__(self, size: int, where: str) -> None:
        super().__init__()
        self.size, self.where, self.left = size, where, size + SPARE

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func not in _BY_SIZE:
            return func(*args, **kwargs)
        planned = func(*args, **{**kwargs, "device": "meta"})
        self.left -= planned.nbytes
        if self.left < 0:
            raise ModelError(
                f"{self.where}: its description asks for more than the {self.size:,} bytes of "
                "tensors that it holds; it is damaged, or made to do harm: use another"
            )
        return func(*args, **kwargs)
