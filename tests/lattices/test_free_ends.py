"""Templates within longer recordings: against all ways to place them, and what silence changes."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqebm.errors import ConfigError
from seqebm.hooks import get_host
from seqebm.kernels.warp import reference
from seqebm.kernels.warp.patterns import Window, get_pattern
from seqebm.lattices.template_init import without_background

D = 3
WORDS = ("a", "b")


def make(**options):
    spec = {"name": "templates", "count": 2, "length": 3, "ends": "background", **options}
    lattice = get_host().registry.make(
        "lattices", spec, "lattice", input_dim=D, vocabulary=WORDS
    ).double().eval()  # fmt: skip
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        lattice.references.copy_(torch.randn(lattice.references.shape, generator=generator))
        lattice.free_ends.price.fill_(0.7)
        lattice.free_ends.pace.fill_(1.7)
        if lattice.free_ends.direction is not None:
            lattice.free_ends.direction.copy_(0.2 * torch.randn(D, generator=generator))
    return lattice


def batch(*lengths: int, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(len(lengths), max(lengths), D, dtype=torch.float64, generator=generator)
    return features, torch.tensor(lengths)


def soft_minimum(values, beta):
    values = np.array(values)
    if math.isinf(beta):
        return values.min()
    low = values.min()
    return low - np.log(np.exp(-beta * (values - low)).sum()) / beta


def placed(local, costs, pattern, beta):
    """Every stretch of the input, from the template's first or second frame to its last or last
    but one, since a step may skip a frame; and what all other frames cost."""
    time, size = local.shape
    skips = (0, 1) if pattern == "asymmetric" else (0,)
    energies = []
    for start, stop in itertools.combinations(range(time + 1), 2):
        outside = costs[:start].sum() + costs[stop:].sum()
        for first, last in itertools.product(skips, skips):
            part = local[start:stop, first : size - last]
            if part.shape[1]:
                free = reference.free_energy(part, get_pattern(pattern), beta, Window())
                energies.append(free + outside)
    return soft_minimum(energies, beta)


@pytest.mark.parametrize("ends", ["open", "background"])
@pytest.mark.parametrize("pattern", ["asymmetric", "linear"])
@pytest.mark.parametrize("metric", ["cosine", "sqeuclidean"])
@pytest.mark.parametrize("beta", [1.5, math.inf])
def test_energies_against_every_place(ends, pattern, metric, beta):
    lattice = make(ends=ends, pattern=pattern, metric=metric)
    features, lengths = batch(7, 5)
    got = lattice.template_energies(features, lengths, beta).detach().numpy()
    costs = lattice.free_ends.costs(features).detach().numpy()
    for i, time in enumerate(lengths.tolist()):
        for m, template in enumerate(lattice.references.detach().numpy()):
            local = reference.local_energy(features[i, :time].numpy(), template, metric)
            raw = placed(local, costs[i, :time], pattern, beta)
            want = 0.7 + (raw - costs[i, :time].sum()) / (1.7 * 3)
            assert got[i, m] == pytest.approx(want, abs=1e-8)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 1000))
def test_background_around_changes_nothing(before, after, seed):
    """Frames that fit no template: at β = ∞ they are left out, and cost what they cost anyway."""
    lattice = make(ends="open", metric="sqeuclidean")
    features, lengths = batch(9, seed=seed)
    odd = torch.full((1, 1, D), 100.0, dtype=torch.float64)
    padded = torch.cat([odd.expand(1, before, D), features, odd.expand(1, after, D)], 1)
    alone = lattice.template_energies(features, lengths, math.inf)
    within = lattice.template_energies(padded, lengths + before + after, math.inf)
    torch.testing.assert_close(within, alone)
    path = lattice.warp(features[0], "a").path
    moved = lattice.warp(padded[0], "a").path
    assert torch.equal(moved[:, 0] - before, path[:, 0]) and torch.equal(moved[:, 1], path[:, 1])


def test_where_the_word_is():
    lattice = make(ends="open", count=1)
    features = torch.zeros(1, 12, D, dtype=torch.float64)
    features[..., 0] = 1.0
    with torch.no_grad():
        lattice.references[:, :, 0] = 0.0
    features[0, 4:7] = lattice.references[0]
    warp = lattice.warp(features[0], "a")
    assert warp.path.tolist() == [[4, 0], [5, 1], [6, 2]]
    assert warp.energy == pytest.approx(0.7 - 3 * 0.7 / (1.7 * 3))


@pytest.mark.parametrize("ends", ["open", "background"])
@pytest.mark.parametrize("beta", [2.0, math.inf])
def test_gradients(ends, beta):
    lattice = make(ends=ends)
    features, lengths = batch(6, 4)
    names = [name for name, _ in lattice.named_parameters()]
    assert {"references", "free_ends.price"} <= {*names}
    inputs = [features.requires_grad_(), *lattice.parameters()]

    def energies(features, *parameters):
        own = dict(zip(names, parameters, strict=True))
        lattice.forward = lattice.energies
        return torch.func.functional_call(lattice, own, (features, lengths, beta))

    assert torch.autograd.gradcheck(energies, [i.detach().requires_grad_() for i in inputs])


@given(st.integers(0, 2**31), st.integers(1, 8))
def test_padding_changes_nothing(seed, extra):
    lattice = make()
    features, lengths = batch(7, 4, 2, seed=seed)
    garbage = torch.full((3, extra, D), math.nan, dtype=torch.float64)
    for item, length in enumerate(lengths.tolist()):
        features[item, length:] = math.nan
    wide = lattice.energies(torch.cat([features, garbage], 1), lengths, 2.0)
    for item, length in enumerate(lengths.tolist()):
        alone = lattice.energies(features[item : item + 1, :length], lengths[item : item + 1], 2.0)
        torch.testing.assert_close(wide[item : item + 1], alone)


def test_the_fewest_frames():
    for pattern, fewest in (("asymmetric", 1), ("linear", 3)):
        lattice = make(pattern=pattern)
        assert lattice.minimum_frames("a") == fewest
        for count in (fewest, fewest - 1):
            if count:
                features, lengths = batch(count)
                finite = torch.isfinite(lattice.energies(features, lengths, 1.0)).all()
                assert bool(finite) == (count == fewest)


def test_initialisation_finds_the_words_in_silence():
    generator = torch.Generator().manual_seed(0)
    silence = torch.tensor([3.0, 0.0, 0.0])
    words = {"a": torch.tensor([0.0, 3.0, 0.0]), "b": torch.tensor([0.0, 0.0, 3.0])}
    features, targets = [], []
    for index in range(12):
        word = WORDS[index % 2]
        before, after = 4 + index % 5, 12 - index
        rows = [silence] * before + [words[word]] * 6 + [silence] * after
        noise = 0.1 * torch.randn(len(rows), D, generator=generator)
        features.append(torch.stack(rows) + noise)
        targets.append(word)
    assert [len(f) for f in without_background(features, 3)] == [6] * 12
    lattice = make(count=1).float()
    lattice.initialise(features, targets)
    torch.testing.assert_close(lattice.references[0].mean(0), words["a"], atol=0.2, rtol=0)
    assert float(lattice.free_ends.pace) == pytest.approx(2.0)
    lengths = torch.tensor([len(f) for f in features])
    padded = torch.nn.utils.rnn.pad_sequence(features, batch_first=True)
    best = lattice.energies(padded, lengths, math.inf).argmin(1).tolist()
    assert [WORDS[b] for b in best] == targets


def test_it_is_saved_with_the_model():
    one, other = make(), make()
    with torch.no_grad():
        one.free_ends.price.fill_(0.3)
        one.free_ends.pace.fill_(2.5)
    other.load_state_dict(one.state_dict())
    features, lengths = batch(6)
    torch.testing.assert_close(
        one.energies(features, lengths, 2.0), other.energies(features, lengths, 2.0)
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pattern": "symmetric2"}, "needs a pattern that counts each input frame once"),
        ({"pattern": "bakis"}, "asymmetric or linear, not bakis"),
        ({"band": 3.0}, "band or slope exclude each other"),
        ({"length": 1}, "needs a length of 2 or more"),
    ],
)
def test_what_does_not_go_together_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        make(**options)
