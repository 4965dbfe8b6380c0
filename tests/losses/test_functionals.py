"""Every loss against its formula, its limits, and the conditions of LeCun & Huang (2005)."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqebm.hooks import Request, Terms, get_host
from seqebm.inference.choice import Choice

NAMES = get_host().registry.names("losses")
GOOD = {"hinge", "margin_hinge", "log", "mce", "square_square", "square_exponential", "nll", "mee",
        "softmax_margin", "boosted_mmi", "mbr"}  # fmt: skip


def make(name: str, **options):
    return get_host().registry.make("losses", {"name": name, **options}, "loss")


def terms_of(energies: torch.Tensor, beta: float, request: Request = Request()) -> Terms:
    """Energies ``(B, W)``, the right answer first."""
    given = Choice(lambda _: energies, torch.ones(len(energies), dtype=torch.int64))
    return given.terms([0] * len(energies), beta, request)


def loss_of(name: str, energies: torch.Tensor, beta: float, **options) -> torch.Tensor:
    """The loss, given what it asks for."""
    loss = make(name, **options)
    return loss(terms_of(energies, beta, loss.request))


def pair(correct: float, offending: float) -> torch.Tensor:
    return torch.tensor([[correct, offending]], dtype=torch.float64)


def two(correct: float, offending: float, beta: float = 1.0) -> Terms:
    return terms_of(pair(correct, offending), beta)


def test_all_are_registered():
    assert sorted(
        ["energy", "perceptron", "hinge", "margin_hinge", "log", "lvq2", "mce", "square_square",
         "square_exponential", "nll", "mee", "softmax_margin", "boosted_mmi", "mbr"]
    ) == NAMES  # fmt: skip


# Energies of the right answer and of its rival (I), and β.
C, R, B = 0.7, 0.4, 2.0
FORMULAS = [
    ("energy", {}, C),
    ("perceptron", {}, C - min(C, R)),
    ("hinge", {"margin": 0.5}, max(0, 0.5 + C - R)),
    ("margin_hinge", {"scale": 0.5}, max(0, 0.5 + C - R)),
    ("log", {}, math.log(1 + math.exp(C - R))),
    ("log", {"scale": 3.0}, math.log(1 + math.exp(3 * (C - R))) / 3),
    ("lvq2", {"delta": 2.0}, min(1, max(0, (C - R) / (2.0 * R)))),
    ("lvq2", {"delta": 0.1}, 1.0),
    ("mce", {"scale": 4.0}, 1 / (1 + math.exp(-4 * (C - R)))),
    ("square_square", {"margin": 0.9}, C**2 + max(0, 0.9 - R) ** 2),
    ("square_exponential", {"gamma": 0.3}, C**2 + 0.3 * math.exp(-R)),
    ("nll", {}, C + math.log(math.exp(-B * C) + math.exp(-B * R)) / B),
    ("mee", {}, 1 - math.exp(-B * C) / (math.exp(-B * C) + math.exp(-B * R))),
    (
        "softmax_margin",
        {"scale": 0.5},
        C + math.log(math.exp(-B * C) + math.exp(-B * (R - 0.5))) / B,
    ),
    ("boosted_mmi", {}, C + math.log(math.exp(-B * C) + math.exp(-B * (R - 0.1))) / B),
    ("mbr", {}, math.exp(-B * R) / (math.exp(-B * C) + math.exp(-B * R))),
]


@pytest.mark.parametrize(("name", "options", "value"), FORMULAS)
def test_formula(name, options, value):
    loss = loss_of(name, pair(C, R), B, **options)
    assert loss.item() == pytest.approx(value, abs=1e-12)


READS = {"energy": set(), "mbr": {"risk"}} | {
    name: {"contrastive"} for name in ("nll", "mee", "softmax_margin", "boosted_mmi")
}


@pytest.mark.parametrize("name", NAMES)
def test_no_loss_reads_a_number_that_it_does_not_request(name):
    loss = make(name)
    terms = terms_of(pair(C, R), B, loss.request)
    fields = ("contrastive", "offending", "risk")
    wanted = {field for field in fields if getattr(loss.request, field)}
    assert wanted == READS.get(name, {"offending"})
    for field in {"contrastive", "offending"} - wanted:
        terms = terms._replace(**{field: torch.full((1,), math.nan, dtype=torch.float64)})
    assert bool(torch.isfinite(loss(terms)).all())


def test_the_rescaled_margin_asks_for_its_cost():
    request = make("margin_hinge", cost="edit", scale=2.0, cap=4).request
    assert request == Request(False, True, "edit", 2.0, 4)
    assert make("margin_hinge", scale=2.0).margin == 2.0


energies = st.lists(st.floats(0.05, 5), min_size=2, max_size=6)


@given(energies, st.floats(0.1, 20))
def test_finite_with_finite_gradients(values, beta):
    for name in NAMES:
        leaf = torch.tensor([values], dtype=torch.float64, requires_grad=True)
        loss = loss_of(name, leaf, beta)
        loss.sum().backward()
        assert torch.isfinite(loss).all(), name
        assert leaf.grad is not None and torch.isfinite(leaf.grad).all(), name


@given(energies, st.floats(0.1, 20))
def test_never_pulls_the_right_answer_up_nor_pushes_a_rival_down(values, beta):
    for name in NAMES:
        leaf = torch.tensor([values], dtype=torch.float64, requires_grad=True)
        loss_of(name, leaf, beta).sum().backward()
        gradient = leaf.grad[0]
        assert gradient[0] >= -1e-12, name
        assert (gradient[1:] <= 1e-12).all(), name


@pytest.mark.parametrize("name", sorted(GOOD))
def test_good_losses_prefer_a_gap(name):
    """LeCun & Huang (2005), condition 1: some point with C + m < I beats every point without."""
    grid = torch.linspace(0.0, 1.5, 31, dtype=torch.float64)
    margin = 0.5
    points = torch.cartesian_prod(grid, grid)
    losses = loss_of(name, points, 1.0)
    wide = points[:, 0] + margin < points[:, 1]
    assert losses[wide].min() < losses[~wide].min()


@pytest.mark.parametrize("name", ["energy", "perceptron", "lvq2"])
def test_a_flat_surface_satisfies_the_others(name):
    """With all energies equal (and low) these losses are at their minimum: they may collapse."""
    assert make(name)(two(1e-9, 1e-9)).item() == pytest.approx(0, abs=1e-8)


@given(energies, st.floats(0.1, 20))
def test_where_answers_are_listed_the_risk_is_the_empirical_error(values, beta):
    e = torch.tensor([values], dtype=torch.float64)
    assert loss_of("mbr", e, beta).item() == pytest.approx(loss_of("mee", e, beta).item())


def test_boosted_mmi_as_it_was_published():
    """Boosting by accuracies adds a constant: the gradient is that of softmax-margin."""
    e = torch.tensor([[0.4, 0.9, 0.2]], dtype=torch.float64, requires_grad=True)
    accuracy = torch.tensor([[1.0, 0.0, 0.0]])
    published = e[0, 0] + torch.logsumexp(-e - 0.1 * accuracy, 1)
    ours = loss_of("boosted_mmi", e, 1.0)
    (wanted,), (found,) = (torch.autograd.grad(x.sum(), e) for x in (published, ours))
    assert torch.allclose(wanted, found)
    assert ours.item() == pytest.approx(published.item() + 0.1)


def test_a_lattice_without_risk_is_named():
    with pytest.raises(ValueError, match="mbr needs the expected cost"):
        make("mbr")(two(C, R))


@given(energies)
def test_nll_at_infinite_beta_is_the_perceptron(values):
    e = torch.tensor([values], dtype=torch.float64)
    nll, perceptron = make("nll")(terms_of(e, math.inf)), make("perceptron")(terms_of(e, 1.0))
    assert torch.equal(nll, perceptron)


@given(st.floats(-5, 5), st.floats(-5, 5))
def test_nll_of_two_answers_is_the_log_loss(c, i):
    assert make("nll")(two(c, i)).item() == pytest.approx(make("log")(two(c, i)).item(), abs=1e-9)


@given(energies, st.floats(0.1, 20))
def test_nll_gradient_is_one_minus_the_posterior(values, beta):
    leaf = torch.tensor([values], dtype=torch.float64, requires_grad=True)
    terms = terms_of(leaf, beta)
    make("nll")(terms).sum().backward()
    posterior = torch.softmax(-beta * leaf.detach(), 1)
    expected = torch.eye(len(values), dtype=torch.float64)[0] - posterior[0]
    torch.testing.assert_close(leaf.grad[0], expected, atol=1e-9, rtol=0)


def test_mee_at_infinite_beta_counts_errors():
    values = torch.tensor([[1.0, 2.0], [2.0, 1.0]], dtype=torch.float64)
    assert make("mee")(terms_of(values, math.inf)).tolist() == [0, 1]


@settings(max_examples=20)
@given(st.sampled_from(NAMES))
def test_one_answer_only_is_no_error(name):
    leaf = torch.tensor([[0.5]], dtype=torch.float64, requires_grad=True)
    loss = loss_of(name, leaf, 1.0)
    loss.sum().backward()
    assert torch.isfinite(loss).all() and torch.isfinite(leaf.grad).all()


def test_lvq2_says_that_it_needs_positive_energies():
    with pytest.raises(ValueError, match=r"lvq2 needs energies > 0.*-0\.5"):
        make("lvq2")(two(0.2, -0.5))


def test_docstrings_give_formula_and_source():
    for name in NAMES:
        text = get_host().registry.get("losses", name).load().__doc__
        assert "``" in text and any(year in text for year in ("Tutorial", "(19", "(20")), name
