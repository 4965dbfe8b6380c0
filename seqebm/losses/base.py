"""What a loss is: a few lines over the energies of right, all and most offending answers."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from seqebm.hooks import Options as BaseOptions
from seqebm.inference.terms import Request, Terms


class Loss(ABC):
    """Base of the losses, made by ``factory(options)``; a subclass is its own factory.

    Attributes:
        options: validated keys under ``loss:`` of a config, an instance of the class's ``Options``.
        good: whether a minimum of the loss has an energy gap, whatever the architecture (LeCun &
            Huang 2005); others may collapse.
        margin: the energy gap I - C from which on it pulls no more (0: none; None: it always
            pulls, at least a little).
        request: the numbers that it reads besides C, so that the others cost nothing.
    """

    Options = BaseOptions
    options: BaseOptions
    good: bool = True
    margin: float | None = 0.0
    request: Request = Request(contrastive=False, offending=True)

    def __init__(self, options: BaseOptions | None = None) -> None:
        self.options = options or self.Options()

    @abstractmethod
    def __call__(self, terms: Terms) -> Tensor:
        """Loss of each item, ``(B,)``."""
