"""Averaged weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from seqebm.training.optimisation import averaged


class _Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))
        self.register_buffer("variance", torch.ones(3))
        self.register_buffer("index", torch.tensor([1, 7, 9]))


@pytest.mark.parametrize("decay", [0.9, 0.998])
def test_a_short_training_leaves_nothing_of_its_start_in_the_average(decay):
    model: Any = _Model()
    average = averaged(model, decay)
    for step in range(300):
        with torch.no_grad():
            model.weight.fill_(5.0 if step else 0.0)
            model.variance.fill_(1e-3 if step else 1.0)
        average.update_parameters(model)
    assert torch.allclose(average.module.weight, model.weight, rtol=1e-3)
    assert torch.allclose(average.module.variance, model.variance, rtol=1e-2)


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.99, 0.998])
def test_integers_are_kept_not_averaged(decay):
    model: Any = _Model()
    average = averaged(model, decay)
    for _ in range(50):
        average.update_parameters(model)
    assert average.module.index.tolist() == [1, 7, 9]
