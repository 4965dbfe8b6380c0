"""Posteriors of entries and of whole strings in an acyclic graph, against all paths one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqebm.graphs import Graph, enumerate_paths, posteriors
from seqebm.inference.confidence import sentence_posterior


@st.composite
def acyclic(draw):
    """A small acyclic graph with silent arcs, dead ends and several starts and finals."""
    states = draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    rows = []
    for _ in range(draw(st.integers(0, 12)) if states > 1 else 0):
        src, dst = np.sort(rng.choice(states, 2, replace=False))
        rows.append((src, dst, rng.integers(0, 3), rng.integers(0, 3)))
    names = rng.permutation(states)  # state numbers are in no order
    rows = [(names[s], names[d], i, o) for s, d, i, o in rows]
    starts = rng.choice(states, rng.integers(1, min(3, states + 1)), replace=False)
    finals = rng.choice(states, rng.integers(0, min(3, states + 1)), replace=False)
    entries = len(rows) + len(starts) + len(finals)
    energy = rng.normal(size=entries) * 2
    energy[rng.random(entries) < 0.05] = np.inf
    return Graph.make(states, rows, starts, finals, energy)


@settings(max_examples=80, deadline=None)
@given(acyclic(), st.sampled_from([0.3, 1.0, 4.0]))
def test_posteriors(graph, beta):
    paths = [p for p in enumerate_paths(graph, graph.arcs) if p.energy < math.inf]
    weights = np.exp(-beta * np.array([p.energy for p in paths]))
    if not paths:
        assert not posteriors(graph, beta).any()
        assert sentence_posterior(graph, (1,), beta) == 0
        return
    expected = np.zeros(graph.entries)
    for path, weight in zip(paths, weights / weights.sum(), strict=True):
        expected[list(path.entries)] += weight
    np.testing.assert_allclose(posteriors(graph, beta), expected, atol=1e-9)
    strings = {p.outputs for p in paths}
    shares = {s: sentence_posterior(graph, s, beta) for s in strings}
    assert sum(shares.values()) == pytest.approx(1)
    for string, share in shares.items():
        own = [w for p, w in zip(paths, weights, strict=True) if p.outputs == string]
        assert share == pytest.approx(sum(own) / weights.sum())
