"""A sum of lattices: energies add, free energies of independent latents too."""

from __future__ import annotations

import math

import pytest
import torch

from seqebm.errors import ConfigError
from seqebm.hooks import get_host

PARTS = [{"name": "templates", "count": 2, "length": 3, "scale": 4.0}, {"name": "pooled"}]


def make(parts):
    spec = {"name": "sum", "parts": parts}
    torch.manual_seed(0)
    return get_host().registry.make(
        "lattices", spec, "lattice", input_dim=5, vocabulary=("a", "b", "c")
    )


@pytest.mark.parametrize("beta", [0.5, math.inf])
def test_energies_add(beta):
    lattice = make(PARTS).eval()
    features, lengths = torch.randn(4, 9, 5), torch.tensor([9, 5, 7, 3])
    templates, pooled = lattice.parts
    got = lattice.energies(features, lengths, beta)
    # F_β(4 E + P) over the templates' latents is 4 F_4β(E) + P, for P has no latent variable.
    scaled = templates.template_energies(features, lengths, 4 * beta) * 4
    want = torch.stack(
        [
            scaled[:, 2 * w : 2 * w + 2].amin(1)
            if math.isinf(beta)
            else -torch.logsumexp(-beta * scaled[:, 2 * w : 2 * w + 2], 1) / beta
            for w in range(3)
        ],
        1,
    ) + pooled.energies(features, lengths, beta)
    torch.testing.assert_close(got, want)


def test_the_most_demanding_part_decides():
    lattice = make([*PARTS, {"name": "templates", "length": 9}])
    assert lattice.minimum_frames("a") == 5
    energies = lattice.energies(torch.randn(1, 4, 5), torch.tensor([4]), 1.0)
    assert torch.isinf(energies).all()


def test_initialise_align_and_gradients():
    lattice = make(PARTS).train()
    features = [torch.randn(6, 5) for _ in range(6)]
    lattice.initialise(features, list("abcabc"))
    assert lattice.warp(features[1], "b").word == "b"
    lattice.energies(torch.stack(features), torch.full((6,), 6), 2.0).sum().backward()
    assert all(p.grad is not None for p in lattice.parameters())


def test_no_part_has_a_warp():
    assert make([{"name": "pooled"}, {"name": "pooled"}]).warp(torch.zeros(6, 5), "b") is None


def test_only_listed_answers_add_up():
    with pytest.raises(ConfigError, match=r"lattice.parts.1: 'hmm' cannot be added up"):
        make([{"name": "pooled"}, {"name": "hmm"}])


def test_bad_parts():
    with pytest.raises(ConfigError, match=r"lattice.parts"):
        make([])
    with pytest.raises(ConfigError, match=r"lattice.parts.0.lenght: unknown key.*'length'"):
        make([{"name": "templates", "lenght": 3}])
    with pytest.raises(ConfigError, match=r"no lattice is called 'poold'. Did you mean 'pooled'"):
        make([{"name": "poold"}])
