"""The trellis against brute force: values, gradients, best paths."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqebm.kernels import reference_trellis as reference
from seqebm.kernels.ops_trellis import (
    trellis_best_path,
    trellis_free_energy,
    trellis_unroll,
)
from seqebm.kernels.packed import Topology, pack

C = 3
BETAS = [0.1, 1.0, 7.3, 100.0, math.inf]


def ints(*values):
    return np.array(values, np.int64)


@st.composite
def topologies(draw, on_states=False):
    """Small graphs: cyclic, with epsilon arcs, several starts and finals, unreachable states."""
    states = draw(st.integers(1, 4))
    pair = st.tuples(st.integers(0, states - 1), st.integers(0, states - 1))
    arcs = draw(st.lists(pair, max_size=7))
    src, dst = (ints(*[a[i] for a in arcs]) for i in (0, 1))
    if on_states:
        of_state = ints(*draw(st.lists(st.integers(0, C - 1), min_size=states, max_size=states)))
        label = of_state[dst]
    else:
        # An epsilon arc goes to a higher state, so that none closes a cycle.
        label = ints(
            *[draw(st.integers(-1 if s < d else 0, C - 1)) for s, d in zip(src, dst, strict=True)]
        )
    some = st.sets(st.integers(0, states - 1), max_size=states)
    starts, finals = (ints(*sorted(draw(some))) for _ in range(2))
    return Topology(states, src, dst, label, starts, finals)


def entries(topology):
    return len(topology.src) + len(topology.starts) + len(topology.finals)


def energies_of(rng, topology, impossible=0.1, whole=False):
    count = entries(topology)
    values = rng.integers(-2, 3, count).astype(float) if whole else rng.normal(size=count)
    return np.where(rng.random(count) < impossible, math.inf, values)


def problem(rng, graphs, T=4, impossible=0.1, whole=False):
    """A batch with every graph twice: emissions, lengths, graph_of, energies of each graph."""
    B = 2 * len(graphs)
    emissions = rng.normal(size=(B, T, C))
    if whole:
        emissions = rng.integers(-2, 3, (B, T, C)).astype(float)
    emissions[rng.random((B, T, C)) < impossible / 2] = math.inf
    lengths = rng.integers(1, T + 1, B)
    energies = [energies_of(rng, graph, impossible, whole) for graph in graphs]
    return emissions, lengths, rng.permutation(np.arange(B) % len(graphs)), energies


def tensors(emissions, lengths, graph_of, energies):
    padded = emissions.copy()
    for b, n in enumerate(lengths):
        padded[b, n:] = math.nan
    return (
        torch.tensor(padded), torch.tensor(lengths), torch.tensor(graph_of),
        torch.tensor(np.concatenate([*energies, np.zeros(0)])),
    )  # fmt: skip


def check(graphs, batch, beta, tolerance=1e-9):
    """Free energies and posteriors against enumeration."""
    emissions, lengths, graph_of, energies = batch
    e, n, of, w = tensors(*batch)
    packed = pack(graphs)
    e.requires_grad_(), w.requires_grad_()
    free = trellis_free_energy(e, n, packed, of, w, beta)
    factor = torch.arange(1.0, len(free) + 1, dtype=free.dtype)
    feasible = torch.isfinite(free.detach())
    total = (free * factor)[feasible].sum()
    to_e, to_w = torch.autograd.grad(total, (e, w)) if feasible.any() else (e * 0, w * 0)
    with torch.no_grad():
        assert torch.equal(trellis_free_energy(e, n, packed, of, w, beta), free)
    expected_w = np.zeros(len(w))
    for b, length in enumerate(lengths):
        graph = graphs[graph_of[b]]
        x = emissions[b, :length]
        exact = reference.free_energy(graph, x, energies[graph_of[b]], beta)
        value = free[b].item()
        assert value == exact or abs(value - exact) <= tolerance * max(1, abs(exact))
        classes, uses = reference.posteriors(graph, x, energies[graph_of[b]], beta)
        if feasible[b]:
            got = to_e[b].numpy() / (b + 1)
            assert np.abs(got[:length] - classes).max(initial=0) < tolerance
            assert not got[length:].any()
        first, last = packed.entry_offsets[graph_of[b] : graph_of[b] + 2]
        expected_w[first:last] += (b + 1) * uses
    if feasible.any():
        assert np.abs(to_w.numpy() - expected_w).max(initial=0) < tolerance * len(lengths)


@pytest.mark.parametrize("beta", BETAS)
@settings(max_examples=25)
@given(data=st.data())
def test_brute_force(beta, data):
    graphs = data.draw(st.lists(topologies(), min_size=1, max_size=3))
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    check(graphs, problem(rng, graphs), beta)


def path_energy(graph, emissions, energies, path):
    """Energy of a path, and a check that it is one."""
    A, Ns = len(graph.src), len(graph.starts)
    state, t = graph.starts[path.start], 0
    total = energies[A + path.start]
    for a, frame in zip(path.arcs.tolist(), path.frames.tolist(), strict=True):
        assert graph.src[a] == state and frame == t
        total += energies[a]
        if graph.label[a] >= 0:
            total += emissions[t, graph.label[a]]
            t += 1
        state = graph.dst[a]
    assert state == graph.finals[path.final] and t == len(emissions)
    return total + energies[A + Ns + path.final]


@settings(max_examples=40)
@given(data=st.data())
def test_best_path_and_ties(data):
    graphs = data.draw(st.lists(topologies(), min_size=1, max_size=3))
    batch = problem(np.random.default_rng(data.draw(st.integers(0, 10**6))), graphs, whole=True)
    emissions, lengths, graph_of, energies = batch
    e, n, of, w = tensors(*batch)
    least, paths = trellis_best_path(e, n, pack(graphs), of, w)
    for b, path in enumerate(paths):
        graph, x = graphs[graph_of[b]], emissions[b, : lengths[b]]
        exact = reference.best_path(graph, x, energies[graph_of[b]])
        if exact is None:
            assert path is None and least[b] == math.inf
            continue
        assert least[b] == exact.energy == path_energy(graph, x, energies[graph_of[b]], path)
        # Whole numbers add up exactly: even the choice among equals is specified.
        assert tuple(path.arcs.tolist()) == exact.arcs
        assert (path.start, path.final) == (exact.start, exact.final)


@settings(max_examples=40)
@given(data=st.data())
def test_wide_beam_is_exact(data):
    graphs = data.draw(st.lists(topologies(), min_size=1, max_size=3))
    batch = problem(np.random.default_rng(data.draw(st.integers(0, 10**6))), graphs, whole=True)
    packed = pack(graphs)
    e, n, of, w = tensors(*batch)
    exact, paths = trellis_best_path(e, n, packed, of, w)
    energies, found = trellis_best_path(e, n, packed, of, w, beam=1e6)
    assert torch.equal(exact, energies)
    for one, other in zip(paths, found, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert torch.equal(one.arcs, other.arcs) and torch.equal(one.frames, other.frames)
            assert one[2:] == other[2:]


@settings(max_examples=40)
@given(data=st.data())
def test_unroll_keeps_what_is_near(data):
    graphs = data.draw(st.lists(topologies(), min_size=1, max_size=2))
    batch = problem(np.random.default_rng(data.draw(st.integers(0, 10**6))), graphs, whole=True)
    beam = data.draw(st.sampled_from([0.0, 1.5, 3.0, math.inf]))
    emissions, lengths, graph_of, energies = batch
    e, n, of, w = tensors(*batch)
    for b, lattice in enumerate(trellis_unroll(e, n, pack(graphs), of, w, beam)):
        graph, x, own = graphs[graph_of[b]], emissions[b, : lengths[b]], energies[graph_of[b]]
        paths = [p for p in reference.enumerate_paths(graph, x, own) if p.energy < math.inf]
        best = min((p.energy for p in paths), default=math.inf)
        assert lattice.best == best
        near = [p for p in paths if p.energy <= best + beam]
        uses = {(a, t) for p in near for a, t in zip(p.arcs, p.frames, strict=True)}
        at = lattice.node_frame[lattice.src]
        assert set(zip(lattice.arc.tolist(), at.tolist(), strict=True)) == uses
        assert len(lattice.arc) == len(uses)
        assert set(lattice.start.tolist()) == {p.start for p in near}
        assert set(lattice.final.tolist()) == {p.final for p in near}
        assert (np.diff(lattice.node_frame) >= 0).all() and (lattice.src < lattice.dst).all()
        assert np.array_equal(lattice.node_state[lattice.src], graph.src[lattice.arc])
        assert np.array_equal(lattice.node_state[lattice.dst], graph.dst[lattice.arc])
        # Its best path, node by node in order, has the energy of the best of all.
        least = np.full(len(lattice.node_state), math.inf)
        least[lattice.start_node] = lattice.start_energy
        for s, d, energy in zip(lattice.src, lattice.dst, lattice.energy, strict=True):
            least[d] = min(least[d], least[s] + energy)
        ends = least[lattice.final_node] + lattice.final_energy
        assert ends.min(initial=math.inf) == best
