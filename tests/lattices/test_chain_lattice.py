"""The linear-chain CRF: every loss on it, local normalisation, and its errors."""

import itertools
import math

import pytest
import torch
from asking import terms_of
from torch import nn

from seqebm.errors import ConfigError, DataError
from seqebm.hooks import Request, get_host
from seqebm.inference.free_energy import free_energy
from seqebm.kernels.chain import reference
from seqebm.lattices.chain import Chain

NAMES = get_host().registry.names("losses")
VOCABULARY = ("DET", "NOUN", "VERB")
TARGETS = ["DET NOUN VERB DET", "NOUN VERB", "VERB"]
LENGTHS = torch.tensor([4, 2, 1])


def make(name="none", positive=False):
    torch.manual_seed(0)
    lattice = Chain(Chain.Options(normalisation=name), 5, VOCABULARY).double()
    with torch.no_grad():
        for parameter in lattice.parameters():
            parameter.normal_()
        if name == "local":
            lattice.final.zero_()
        if positive:  # some losses need energies above 0
            lattice.linear.bias -= 20.0
    return lattice, torch.randn(3, 5, 5, dtype=torch.float64)


def items(lattice, features):
    """Each item for the reference, and the numbers of its target's labels."""
    parts = lattice.meet(features, LENGTHS)
    model = [p.detach().numpy() for p in (parts.transitions, parts.start, parts.final)]
    for b, (n, target) in enumerate(zip(LENGTHS.tolist(), TARGETS, strict=True)):
        labels = [VOCABULARY.index(name) for name in target.split()]
        yield reference.Chain(parts.emissions[b, :n].detach().numpy(), *model), labels


@pytest.mark.parametrize("normalisation", ["none", "local"])
@pytest.mark.parametrize("beta", [0.5, 1.0, math.inf])
def test_terms_are_those_of_brute_force(normalisation, beta):
    lattice, features = make(normalisation)
    features[1, 2:] = 99.0  # padding
    terms = terms_of(lattice, features, LENGTHS, TARGETS, beta)
    costly = terms_of(lattice, features, LENGTHS, TARGETS, beta, Request(cost="hamming", scale=0.7))
    for b, (one, labels) in enumerate(items(lattice, features)):
        assert terms.correct[b].item() == pytest.approx(reference.path_energy(one, labels))
        assert terms.contrastive[b].item() == pytest.approx(reference.free_energy(one, beta))
        assert terms.offending[b].item() == pytest.approx(reference.offending(one, labels))
        rival = reference.offending(one, labels, 0.7)
        assert costly.offending[b].item() == pytest.approx(rival)
    # Softmax-margin and minimum Bayes risk: every labelling, listed.
    risky = terms_of(lattice, features, LENGTHS, TARGETS, beta, Request(cost="hamming", risk=True))
    for b, (boosted, risk) in enumerate(listed(lattice, features, beta)):
        assert costly.contrastive[b].item() == pytest.approx(boosted.item())
        assert risky.risk[b].item() == pytest.approx(risk.item(), abs=1e-7)


def listed(lattice, features, beta):
    """F_β of the energies less 0.7 a wrong label, and the expected number of wrong labels."""
    parts = lattice.meet(features, LENGTHS)
    for b, (n, target) in enumerate(zip(LENGTHS.tolist(), TARGETS, strict=True)):
        labels = [VOCABULARY.index(name) for name in target.split()]
        energies, costs = [], []
        for y in itertools.product(range(len(VOCABULARY)), repeat=n):
            own = parts.emissions[b, range(n), y].sum() + parts.start[y[0]] + parts.final[y[-1]]
            energies.append(own + sum(parts.transitions[i, j] for i, j in itertools.pairwise(y)))
            costs.append(sum(i != j for i, j in zip(y, labels, strict=True)))
        energy, cost = torch.stack(energies), torch.tensor(costs, dtype=torch.float64)
        share = nn.functional.softmax(-beta * energy, 0) if beta < math.inf else energy.argmin()
        risk = share @ cost if beta < math.inf else cost[share]
        yield free_energy(energy - 0.7 * cost, beta), risk


@pytest.mark.parametrize("normalisation", ["none", "local"])
def test_the_gradient_of_the_risk_is_that_of_brute_force(normalisation):
    lattice, features = make(normalisation)
    features.requires_grad_()
    wanted = [features, *(p for p in lattice.parameters() if p.requires_grad)]
    request = Request(False, False, "hamming", 0.0, risk=True)
    found = terms_of(lattice, features, LENGTHS, TARGETS, 0.8, request).risk.sum()
    truth = sum(risk for _, risk in listed(lattice, features, 0.8))
    pairs = zip(
        torch.autograd.grad(found, wanted, allow_unused=True),
        torch.autograd.grad(truth, wanted, allow_unused=True), strict=True,
    )  # fmt: skip
    for one, two in pairs:
        assert (one is None) == (two is None)
        assert one is None or torch.allclose(one, two, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_every_loss_runs_with_the_numbers_that_it_requests(name):
    lattice, features = make(positive=True)
    features.requires_grad_()
    loss = get_host().registry.make("losses", {"name": name}, "loss")
    values = loss(terms_of(lattice, features, LENGTHS, TARGETS, 1.0, loss.request))
    values.sum().backward()
    everything = terms_of(
        lattice,
        features,
        LENGTHS,
        TARGETS,
        1.0,
        loss.request._replace(contrastive=True, offending=True),
    )
    assert torch.equal(loss(everything), values)
    assert bool(torch.isfinite(values).all())
    assert bool(torch.isfinite(features.grad).all())
    assert not features.grad[1, 2:].any()


def test_what_is_not_requested_is_nan():
    lattice, features = make()
    terms = terms_of(lattice, features, LENGTHS, TARGETS, 1.0, Request(False, False))
    assert bool(torch.isnan(terms.contrastive).all() and torch.isnan(terms.offending).all())


def test_local_normalisation_makes_probabilities_of_labellings():
    lattice, features = make("local")
    free = lattice.meet(features, LENGTHS).free_energy(1.0)
    assert torch.allclose(free, torch.zeros_like(free), atol=1e-12)
    assert not lattice.final.requires_grad
    # The chain rule: the probability of the first label, then of each given the one before.
    scores = lattice.linear(features)
    y = [VOCABULARY.index(name) for name in TARGETS[0].split()]
    expected = torch.log_softmax(scores[0, 0] - lattice.start, 0)[y[0]]
    for t in range(1, 4):
        expected += torch.log_softmax(scores[0, t] - lattice.transitions[y[t - 1]], 0)[y[t]]
    correct = terms_of(lattice, features, LENGTHS, TARGETS, 1.0).correct[0]
    assert torch.allclose(correct, -expected)


def test_local_normalisation_has_label_bias():
    """A label with one successor passes on all its probability, whatever is observed (Bottou)."""
    far = 1e3
    results = {}
    for normalisation in ("none", "local"):
        lattice = Chain(Chain.Options(normalisation=normalisation), 3, VOCABULARY).double()
        with torch.no_grad():
            lattice.linear.weight.copy_(torch.eye(3) * 5)
            # DET is followed by NOUN only, NOUN by NOUN only, VERB by all three.
            lattice.transitions.copy_(torch.tensor([[far, 0, far], [far, 0, far], [0.0, 0, 0]]))
            lattice.start.copy_(torch.tensor([0.0, far, 0.1]))
        # First frame: nothing is seen; second frame: clearly VERB.
        seen = torch.tensor([[[0.0, 0, 0], [0, 0, 1]]], dtype=torch.float64)
        best = lattice.meet(seen, torch.tensor([2])).best()[0][0]
        results[normalisation] = lattice.text(best.value)
    assert results == {"none": "VERB VERB", "local": "DET NOUN"}


def test_answers():
    lattice, features = make()
    with torch.no_grad():
        labellings = lattice.meet(features, LENGTHS)
        answers, ranked = labellings.best(), labellings.best(3)
        posteriors = labellings.posteriors(2.0)[1]
    for b, (one, _) in enumerate(items(lattice, features)):
        every = sorted(reference.labellings(one))[:3]
        texts = [" ".join(VOCABULARY[i] for i in y) for _, y in every]
        assert [lattice.text(a.value) for a in ranked[b]] == texts
        assert [a.energy for a in ranked[b]] == pytest.approx([e for e, _ in every])
        assert answers[b][0].value == ranked[b][0].value
        assert answers[b][0].energy == pytest.approx(every[0][0])
        own = torch.tensor(reference.posteriors(one, 2.0)[0])
        assert torch.allclose(posteriors[b, : len(own)], own)


def test_errors_say_what_is_wrong():
    lattice, features = make()
    with pytest.raises(DataError, match="item 1 has 3 labels and 2 feature frames"):
        terms_of(lattice, features, LENGTHS, [TARGETS[0], "DET NOUN VERB", "VERB"], 1.0)
    with pytest.raises(DataError, match=r"'NUON' is not.*Did you mean 'NOUN'"):
        terms_of(lattice, features, LENGTHS, [TARGETS[0], "NUON VERB", "VERB"], 1.0)
    with pytest.raises(ConfigError, match=r"no cost 'edit': set loss\.cost to hamming"):
        terms_of(lattice, features, LENGTHS, TARGETS, 1.0, Request(cost="edit"))
    assert lattice.minimum_frames("DET NOUN") == 2


def test_padding_beyond_the_longest_item_changes_nothing():
    lattice, features = make("local")
    wide = torch.cat([features, torch.full((3, 4, 5), 7.0, dtype=torch.float64)], 1)
    for a, b in zip(
        terms_of(lattice, features, LENGTHS, TARGETS, 1.0)[:3],
        terms_of(lattice, wide, LENGTHS, TARGETS, 1.0)[:3],
        strict=True,
    ):
        assert torch.allclose(a, b, rtol=1e-12)
