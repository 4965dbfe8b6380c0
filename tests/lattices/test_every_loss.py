"""Every loss runs on every lattice, with the numbers that it asks for."""

from __future__ import annotations

import math

import pytest
import torch
from asking import terms_of

from seqebm.graphs import Graph
from seqebm.hooks import get_host
from seqebm.inference.dag import Dag
from seqebm.inference.trellis import Trellis, prepare

LOSSES = get_host().registry.names("losses")
WORDS = ("a", "b", "c")
STRINGS = ["a c b b", "b a"]  # for lattices whose answers are strings
OPTIONS = {
    "templates": {"count": 1, "length": 2},
    "pooled": {},
    "sum": {"parts": [{"name": "pooled"}, {"name": "templates", "count": 1, "length": 2}]},
    "hmm": {"states": 1},
    "chain": {},
}
LOOP = Graph.make(
    2, [(0, 0, 1, 1), (0, 1, 2, 2), (1, 0, 0, 0), (0, 0, 0, 0), (1, 1, 2, 0)], [0], [0, 1],
    weight=[0, 1, 1, 1, 0, 0, 1],
)  # fmt: skip
PIECES = Graph.make(
    4, [(0, 1, 0, 2), (1, 3, 0, 3), (0, 2, 0, 3), (2, 3, 0, 1), (0, 3, 0, 1)], [0], [3],
    weight=[0, 1, 1, 0, 1],
)  # fmt: skip


def from_features(name, loss, beta):
    """Losses, and the gradient of everything that is trained, with frames of 4 and 2 items."""
    torch.manual_seed(1)
    spec = {"name": name, **OPTIONS[name]}
    lattice = get_host().registry.make("lattices", spec, "lattice", input_dim=3, vocabulary=WORDS)
    lattice = lattice.double().eval()
    features, lengths = torch.randn(2, 4, 3, dtype=torch.float64), torch.tensor([4, 2])
    targets = STRINGS if lattice.answers == "string" else ["a", "c"]
    seen = [f[:n] for f, n in zip(features, lengths, strict=True)]
    lattice.initialise([*seen, *seen], [*targets, "b", "b"])
    with torch.no_grad():
        for part, value in lattice.named_parameters():
            if part.endswith("linear.bias"):  # some losses need energies above 0
                value.sub_(5.0)
    features[1, 2:] = 99.0
    features.requires_grad_()
    values = loss(terms_of(lattice, features, lengths, targets, beta, loss.request))
    trained = [p for p in lattice.parameters() if p.requires_grad]
    found = torch.autograd.grad(values.sum(), [features, *trained], allow_unused=True)
    return values, [g for g in found if g is not None]


def from_graphs(lattice, targets, loss, beta, weights):
    values = loss(lattice.terms(targets, beta, loss.request))
    return values, torch.autograd.grad(values.sum(), weights)


@pytest.mark.parametrize("beta", [1.0, math.inf])
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("lattice", [*get_host().registry.names("lattices"), "trellis", "dag"])
def test_every_loss_on_every_lattice(lattice, name, beta):
    loss = get_host().registry.make("losses", {"name": name}, "loss")
    weights = torch.tensor([1.0, 2.5], dtype=torch.float64, requires_grad=True)
    if lattice == "trellis":
        emissions = torch.rand(2, 3, 2, dtype=torch.float64)
        trellis = Trellis(prepare(LOOP), emissions, torch.tensor([3, 2]), weights)
        values, gradients = from_graphs(trellis, [(1, 2), (1, 1)], loss, beta, [weights])
    elif lattice == "dag":
        dag = Dag.of([PIECES, PIECES], weights)
        values, gradients = from_graphs(dag, [(2, 3), (1,)], loss, beta, [weights])
    else:
        values, gradients = from_features(lattice, loss, beta)
    assert values.shape == (2,) and bool(torch.isfinite(values).all())
    assert gradients and all(bool(torch.isfinite(g).all()) for g in gradients)
