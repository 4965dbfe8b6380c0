"""Elastic templates: energies against the reference, starting points, gradients, alignments."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqebm.errors import ConfigError, DataError
from seqebm.hooks import get_host
from seqebm.kernels.warp import reference
from seqebm.kernels.warp.patterns import Window, get_pattern
from seqebm.lattices.template_init import medoids, segment_means

WORDS = ("a", "b")
D = 3


def make(**options):
    spec = {"name": "templates", "count": 2, "length": 3, **options}
    return (
        get_host()
        .registry.make("lattices", spec, "lattice", input_dim=D, vocabulary=WORDS)
        .double()
    )


def batch(*lengths: int, seed: int = 0):
    torch.manual_seed(seed)
    return torch.randn(len(lengths), max(lengths), D, dtype=torch.float64), torch.tensor(lengths)


def local(x: np.ndarray, y: np.ndarray, metric: str) -> np.ndarray:
    if metric == "sqeuclidean":
        return ((x[:, None] - y[None]) ** 2).sum(-1)
    unit = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in (x, y)]
    return 1 - unit[0] @ unit[1].T


@pytest.mark.parametrize("metric", ["cosine", "sqeuclidean"])
@pytest.mark.parametrize("pattern", ["asymmetric", "symmetric2", "symmetric1"])
@pytest.mark.parametrize(("path_beta", "template_beta"), [(None, None), (math.inf, 2.0)])
@pytest.mark.parametrize("beta", [1.5, math.inf])
def test_energies_against_the_reference(metric, pattern, path_beta, template_beta, beta):
    lattice = make(
        metric=metric, pattern=pattern, path_beta=path_beta, template_beta=template_beta
    ).eval()
    features, lengths = batch(7, 4)
    steps = get_pattern(pattern)
    got = lattice.energies(features, lengths, beta).detach().numpy()
    for i, time in enumerate(lengths.tolist()):
        for w in range(2):
            each = []
            for k in range(2):
                template = lattice.references[2 * w + k].detach().numpy()
                table = local(features[i, :time].numpy(), template, metric)
                raw = reference.free_energy(table, steps, path_beta or beta, Window())
                each.append(raw / steps.normaliser(time, len(template)))
            b = template_beta or beta
            want = min(each) if math.isinf(b) else -np.log(np.exp(-b * np.array(each)).sum()) / b
            assert got[i, w] == pytest.approx(want, abs=1e-9)


@pytest.mark.parametrize("beta", [2.0, math.inf])
def test_gradcheck_to_inputs_and_templates(beta):
    lattice = make().eval()
    features, lengths = batch(5, 4)
    features.requires_grad_()

    def energies(features, references):
        return torch.func.functional_call(
            lattice, {"references": references}, (features, lengths, beta)
        )

    lattice.forward = lattice.energies
    references = lattice.references.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(energies, (features, references))


@given(st.lists(st.integers(3, 12), min_size=1, max_size=4), st.integers(0, 99))
def test_padding_does_not_change_energies(lengths, seed):
    lattice = make().eval()
    features, lengths = batch(*lengths, seed=seed)
    padded = torch.cat([features, torch.randn(len(lengths), 5, D, dtype=torch.float64)], 1)
    for i, length in enumerate(lengths.tolist()):
        padded[i, length:] = 1e6
    with torch.no_grad():
        one = lattice.energies(padded, lengths, 3.0)
        for i, length in enumerate(lengths.tolist()):
            alone = lattice.energies(features[i : i + 1, :length], lengths[i : i + 1], 3.0)
            torch.testing.assert_close(one[i], alone[0])


def test_too_short_is_infinite_and_counted_as_infeasible():
    lattice = make(length=7)
    features, lengths = batch(3, 4)
    energies = lattice.energies(features, lengths, 1.0)
    assert lattice.minimum_frames("a") == 4
    assert torch.isinf(energies[0]).all() and torch.isfinite(energies[1]).all()


def test_segment_means():
    sequence = torch.arange(6.0)[:, None]
    assert segment_means(sequence, 3)[:, 0].tolist() == [0.5, 2.5, 4.5]
    assert segment_means(sequence[:2], 4)[:, 0].tolist() == [0, 0, 1, 1], "shorter than the parts"


def test_medoids_are_central():
    base = torch.randn(12, D, dtype=torch.float64)
    groups = [base + 0.01 * torch.randn_like(base) for _ in range(5)]
    groups += [-base + 0.01 * torch.randn_like(base) for _ in range(5)]
    chosen = medoids(groups, 2, "sqeuclidean", get_pattern("symmetric2"), Window())
    assert {i // 5 for i in chosen} == {0, 1}


@pytest.mark.parametrize("init", ["segment_means", "medoids", "all"])
def test_initialisation_makes_the_right_words_lowest(init):
    torch.manual_seed(1)
    prototypes = {w: torch.randn(6, D, dtype=torch.float64) for w in WORDS}
    features, targets = [], []
    for index in range(8):
        word = WORDS[index % 2]
        slow = prototypes[word].repeat_interleave(1 + index % 3, 0)
        features.append(slow + 0.05 * torch.randn_like(slow))
        targets.append(word)
    lattice = make(init=init, length=6).eval()
    lattice.initialise(features, targets)
    for sequence, target in zip(features, targets, strict=True):
        energies = lattice.energies(sequence[None], torch.tensor([len(sequence)]), math.inf)
        assert WORDS[int(energies.argmin())] == target
    again = make(init=init, length=6)
    again.load_state_dict(lattice.state_dict())
    assert torch.equal(again.references, lattice.references)
    assert (len(lattice.references) == 8) == (init == "all")


def test_initialisation_names_a_word_without_utterances():
    with pytest.raises(DataError, match="word 'b'"):
        make().initialise([torch.randn(5, D, dtype=torch.float64)], ["a"])


def test_template_dropout_always_leaves_one_template():
    lattice = make(count=3, dropout=0.9).train()
    features, lengths = batch(*[6] * 64)
    energies = lattice.energies(features, lengths, math.inf)
    assert torch.isfinite(energies).all()
    full = lattice.eval().energies(features, lengths, math.inf)
    assert (energies >= full - 1e-12).all() and (energies > full + 1e-9).any()


def test_alignment():
    lattice = make().eval()
    reference_ = lattice.references[3].detach()
    alignment = lattice.warp(reference_.repeat_interleave(2, 0), "b")
    assert (alignment.word, alignment.template) == ("b", 1)
    assert alignment.energy == pytest.approx(0, abs=1e-9)
    on_path = alignment.local[alignment.path[:, 0], alignment.path[:, 1]]
    assert on_path.mean().item() == pytest.approx(alignment.energy, abs=1e-9)
    assert alignment.path.tolist() == [[i, i // 2] for i in range(6)]


def test_unknown_pattern():
    with pytest.raises(ConfigError, match=r"lattice.pattern.*symmetric2"):
        make(pattern="symmetric_2")
