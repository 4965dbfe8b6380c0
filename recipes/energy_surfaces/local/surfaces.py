"""Energies E(X, Y) of real numbers, and the three numbers that losses read.

Answers are the points of a grid or of a sample; the most offending one is the lowest that is not
within ``APART`` of the right answer, as in LeCun et al. (2006), section 2.2 on continuous Y.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqebm.hooks import Continuum, Loss, Terms, get_host

APART = 0.25  # answers nearer than this to the right one are no offence
RANGE = -1.0, 2.0  # of Y


def mlp(inputs: int, outputs: int, width: int = 32) -> nn.Sequential:
    """One hidden layer."""
    return nn.Sequential(nn.Linear(inputs, width), nn.Tanh(), nn.Linear(width, outputs))


class Regression(nn.Module):
    """E = |G(X) - Y|: pushing one answer down pulls all others up, so it cannot collapse."""

    def __init__(self) -> None:
        super().__init__()
        self.g = mlp(1, 1)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """``(...)``, ``(...)`` -> ``(...)`` energies."""
        return (self.g(x[..., None]).squeeze(-1) - y).abs()


class TwoBranches(nn.Module):
    """E = |G1(X) - G2(Y)|: both may become one constant, and all energies 0."""

    def __init__(self, dim: int = 8) -> None:
        super().__init__()
        self.g1, self.g2 = mlp(1, dim), mlp(1, dim)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """``(...)``, ``(...)`` -> ``(...)`` energies."""
        return (self.g1(x[..., None]) - self.g2(y[..., None])).abs().sum(-1)


ARCHITECTURES = {"regression": Regression, "two branches": TwoBranches}


def make_loss(name: str, **options: float) -> Loss:
    """A loss of seqebm, the one that recognisers are trained with."""
    return get_host().registry.make("losses", {"name": name, **options}, "loss")


def grid(points: int = 61) -> Tensor:
    """Answers to choose from."""
    return torch.linspace(*RANGE, points)


def terms(model: nn.Module, x: Tensor, y: Tensor, candidates: Tensor, beta: float = 1.0) -> Terms:
    """C, F and I of items ``(B,)`` with candidate answers ``(K,)`` or ``(B, K)``."""
    return energies(model, x, candidates).terms(y, beta)


def energies(model: nn.Module, x: Tensor, candidates: Tensor) -> Continuum:
    """The energies of candidate answers ``(K,)`` or ``(B, K)`` to items ``(B,)``."""
    return Continuum(
        lambda y: model(x[:, None].expand_as(y), y), candidates.expand(len(x), -1), APART
    )


@torch.no_grad()
def surface(model: nn.Module, xs: Tensor, ys: Tensor) -> Tensor:
    """``(len(ys), len(xs))`` energies."""
    y, x = torch.meshgrid(ys, xs, indexing="ij")
    return model(x, y)
