"""The switch over a finite answer set, against brute force."""

from __future__ import annotations

import math

import pytest
import torch
from asking import terms_of
from hypothesis import given
from hypothesis import strategies as st

from seqebm.errors import DataError
from seqebm.inference.free_energy import free_energy
from seqebm.lattices.answers import AnswerSet


class Fixed(AnswerSet):
    def __init__(self, energies):
        super().__init__(("yes", "no", "maybe"))
        self.fixed = energies

    def energies(self, features, lengths, beta):
        return self.fixed


@given(
    st.lists(st.floats(-50, 50), min_size=1, max_size=6),
    st.one_of(st.floats(0.1, 100), st.just(math.inf)),
)
def test_free_energy(values, beta):
    got = free_energy(torch.tensor([values], dtype=torch.float64), beta).item()
    if math.isinf(beta):
        want = min(values)
    else:
        low = min(values)
        want = low - math.log(sum(math.exp(-beta * (v - low)) for v in values)) / beta
    assert got == pytest.approx(want, abs=1e-9)


def test_free_energy_approaches_the_minimum():
    values = torch.tensor([0.3, 0.1, 0.9], dtype=torch.float64)
    assert free_energy(values, 1e6).item() == pytest.approx(0.1, abs=1e-5)


@pytest.mark.parametrize("beta", [1.0, math.inf])
def test_impossible_answers(beta):
    values = torch.tensor(
        [[1.0, math.inf, 2.0], [math.inf] * 3], dtype=torch.float64, requires_grad=True
    )
    result = free_energy(values, beta)
    assert result[0] == free_energy(values[0, [0, 2]], beta) and torch.isinf(result[1])
    if beta == 1.0:
        result.sum().backward()
        assert torch.equal(values.grad[1], torch.zeros(3)) and values.grad[0, 1] == 0


@pytest.mark.parametrize("beta", [0.5, 3.0, math.inf])
def test_three_numbers(beta):
    energies = torch.tensor([[1.0, 0.5, 2.0], [0.1, 0.2, 0.3]], dtype=torch.float64)
    terms = terms_of(Fixed(energies), energies, torch.ones(2), ["yes", "maybe"], beta)
    assert terms.correct.tolist() == [1.0, 0.3]
    assert terms.offending.tolist() == [0.5, 0.1]
    torch.testing.assert_close(terms.contrastive, free_energy(energies, beta))


def test_unknown_word_is_named_with_the_nearest():
    with pytest.raises(DataError, match=r"'mayb'.*yes, no, maybe.*Did you mean 'maybe'"):
        Fixed(torch.zeros(1, 3)).parse("mayb")
