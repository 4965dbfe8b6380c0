"""The trellis against brute force: values, gradients, best paths."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqebm.kernels.machine import threads
from seqebm.kernels.machine.topology import Topology
from seqebm.kernels.trellis import cpu, reference
from seqebm.kernels.trellis.ops import best_path, free_energy, posteriors, unroll
from seqebm.kernels.trellis.packed import concatenate, join, pack, split

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
    free = free_energy(e, n, packed, of, w, beta)
    factor = torch.arange(1.0, len(free) + 1, dtype=free.dtype)
    feasible = torch.isfinite(free.detach())
    total = (free * factor)[feasible].sum()
    to_e, to_w = torch.autograd.grad(total, (e, w)) if feasible.any() else (e * 0, w * 0)
    with torch.no_grad():
        assert torch.equal(free_energy(e, n, packed, of, w, beta), free)
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
    least, paths = best_path(e, n, pack(graphs), of, w)
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
    exact, paths = best_path(e, n, packed, of, w)
    energies, found = best_path(e, n, packed, of, w, beam=1e6)
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
    for b, lattice in enumerate(unroll(e, n, pack(graphs), of, w, beam)):
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


def single(topology, emissions, energies, dtype=torch.float64):
    """Arguments of the operators for one item."""
    return (
        torch.tensor(emissions, dtype=dtype)[None], torch.tensor([len(emissions)]),
        pack([topology]), torch.zeros(1, dtype=torch.int64), torch.tensor(energies, dtype=dtype),
    )  # fmt: skip


@settings(max_examples=25)
@given(data=st.data())
def test_labels_on_states(data):
    graphs = data.draw(st.lists(topologies(on_states=True), min_size=1, max_size=2))
    assert pack(graphs).on_states.all()
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    batch = problem(rng, graphs)
    check(graphs, batch, 1.3)
    # A graph is still the same if a useless arc keeps the kernel from knowing.
    energies = batch[3]
    e, n, of, w = tensors(*batch)
    mixed = [
        g._replace(
            src=np.append(g.src, [0, 0]), dst=np.append(g.dst, [0, 0]),
            label=np.append(g.label, [0, 1]),
        )
        for g in graphs
    ]  # fmt: skip
    wide = [
        np.concatenate((own[: len(g.src)], [math.inf, math.inf], own[len(g.src) :]))
        for g, own in zip(graphs, energies, strict=True)
    ]
    assert not pack(mixed).on_states.any()
    one = posteriors(e, n, pack(graphs), of, w, 1.3)
    other = posteriors(e, n, pack(mixed), of, torch.tensor(np.concatenate(wide)), 1.3)
    assert torch.allclose(one[0], other[0], rtol=1e-12)
    assert torch.allclose(one[1], other[1], atol=1e-12)


@settings(max_examples=15)
@given(data=st.data())
def test_concatenated_is_separate(data):
    graphs = data.draw(st.lists(topologies(), min_size=2, max_size=3))
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    e, n, of, w = tensors(*problem(rng, graphs))
    together = pack(graphs)
    joined = concatenate([pack([graph]) for graph in graphs])
    for one, other in zip(together, joined, strict=True):
        assert one.dtype == other.dtype and np.array_equal(one, other)
    for one, other in zip(together, split(*join(together)), strict=True):
        assert one.dtype == other.dtype and np.array_equal(one, other)
    assert concatenate([]).graphs == 0
    free, posterior, _ = posteriors(e, n, joined, of, w, 1.0)
    for b in range(len(e)):
        first, last = joined.entry_offsets[of[b] : of[b] + 2]
        alone = posteriors(
            e[b : b + 1], n[b : b + 1], pack([graphs[of[b]]]), torch.tensor([0]), w[first:last], 1.0
        )
        assert torch.equal(alone[0], free[b : b + 1])
        assert torch.allclose(alone[1][0], posterior[b], atol=1e-12)


@settings(max_examples=15)
@given(data=st.data())
def test_extreme_energies(data):
    """Energies of +-1e4 at beta 100: beyond every scale, hence in the log domain."""
    graph = data.draw(topologies())
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    emissions, lengths, graph_of, energies = problem(rng, [graph], impossible=0.05)
    scale = data.draw(st.sampled_from([300.0, 1e4]))
    check([graph], (emissions * scale, lengths, graph_of, [energies[0] * scale]), 100.0, 1e-8)


@pytest.mark.parametrize("beta", [1e-30, 1e-3, 1e10, 1e300])
def test_any_beta(beta):
    graph = Topology(2, ints(0, 0, 1), ints(0, 1, 1), ints(0, 1, 2), ints(0), ints(0, 1))
    rng = np.random.default_rng(0)
    check([graph], problem(rng, [graph], impossible=0.0), beta, 1e-6 if beta < 1 else 1e-9)


def both_domains(topology, emissions, energies, monkeypatch, beta=1.0):
    """Results in the scaled domain where it is certified, and in the log domain."""
    arguments = (*single(topology, emissions, energies), beta)
    found = []

    def spy(worker, items, *rest, **options):
        found.append(worker)
        threads.launch(worker, items, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(cpu, "launch", spy)
        scaled = posteriors(*arguments)
    with monkeypatch.context() as patch:
        patch.setattr(cpu, "scaled_worker", doubt_all)
        log = posteriors(*arguments)
    return scaled, log, cpu.log_worker in found


def doubt_all(counter, jobs, packed, graph_of, emissions, lengths, *rest):
    rest[5][:] = 1


def chain(states):
    """Left to right with self-loops; state s has label s."""
    every = np.arange(states)
    src, dst = np.concatenate((every, every[:-1])), np.concatenate((every, every[1:]))
    return Topology(states, src, dst, dst, ints(0), ints(states - 1))


def test_log_domain_agrees(monkeypatch):
    rng = np.random.default_rng(0)
    graph = chain(20)
    emissions, energies = rng.normal(size=(200, 20)) * 3, rng.normal(size=entries(graph))
    scaled, log, fell_back = both_domains(graph, emissions, energies, monkeypatch)
    assert not fell_back
    for one, other in zip(scaled, log, strict=True):
        assert torch.allclose(one, other, rtol=1e-10, atol=1e-10)


def test_what_underflows_is_noticed(monkeypatch):
    """The only path leads through states that are e**-1000 less likely than others."""
    graph = chain(60)
    emissions = np.full((100, 60), 25.0)
    emissions[:, 0] = 0.0
    emissions[99, :] = np.linspace(2000, 0, 60)
    scaled, log, fell_back = both_domains(graph, emissions, np.zeros(entries(graph)), monkeypatch)
    assert fell_back
    for one, other in zip(scaled, log, strict=True):
        assert torch.allclose(one, other, rtol=1e-10, atol=1e-10)
    exact = reference.free_energy(graph, emissions, np.zeros(entries(graph)), 1.0)
    assert abs(scaled[0].item() - exact) < 1e-9 * abs(exact)


def test_unlikely_states_do_not_force_the_log_domain(monkeypatch):
    """States far ahead underflow, but what they lose is without consequence."""
    graph = chain(300)
    emissions = np.full((320, 300), 12.0)
    at = np.minimum(np.arange(320), 299)
    emissions[np.arange(320), at] = 0.0
    scaled, log, fell_back = both_domains(graph, emissions, np.zeros(entries(graph)), monkeypatch)
    assert not fell_back
    for one, other in zip(scaled, log, strict=True):
        assert torch.allclose(one, other, rtol=1e-10, atol=1e-10)


def test_twenty_thousand_frames():
    rng = np.random.default_rng(0)
    graph = Topology(
        3, ints(0, 0, 1, 1, 2, 2), ints(0, 1, 1, 2, 2, 0), ints(0, 1, 1, 2, 2, -1), ints(0),
        ints(2),
    )  # fmt: skip
    T = 20_000
    emissions, energies = rng.normal(size=(T, 3)) * 5 + 50, rng.normal(size=entries(graph))
    free, posterior, counts = posteriors(*single(graph, emissions, energies), 1.0)
    exact = reference.free_energy(graph, emissions, energies, 1.0)
    assert abs(free.item() - exact) < 1e-11 * abs(exact)
    # Each frame is consumed once, and arcs with a label consume all frames.
    assert torch.allclose(posterior.sum(2), torch.ones(1, T, dtype=torch.float64), atol=1e-10)
    assert abs(counts[:5].sum() - T) < 1e-6
    narrow = posteriors(*single(graph, emissions, energies, torch.float32), 1.0)
    assert (narrow[1] - posterior).abs().max() < 1e-4  # the emissions themselves were rounded


def test_float32_gradient():
    rng = np.random.default_rng(1)
    graph = chain(5)
    x = rng.normal(size=(7, 5)).astype(np.float32)
    energies = rng.normal(size=entries(graph)).astype(np.float32)
    _, posterior, counts = posteriors(*single(graph, x, energies, torch.float32), 1.0)
    classes, uses = reference.posteriors(graph, x.astype(float), energies.astype(float), 1.0)
    assert np.abs(posterior[0].numpy() - classes).max() < 1e-6
    assert np.abs(counts.numpy() - uses).max() < 1e-6


def test_rows_computed_again(monkeypatch):
    """Beyond a size, forward rows are kept by checkpoints: nothing changes."""
    graph = chain(1100)
    rng = np.random.default_rng(0)
    emissions = rng.normal(size=(2, 1130, 1100))
    e = torch.tensor(emissions)
    lengths, packed = torch.tensor([1130, 1117]), pack([graph])
    w = torch.tensor(rng.normal(size=entries(graph)))
    of = torch.zeros(2, dtype=torch.int64)
    free, posterior, counts = posteriors(e, lengths, packed, of, w, 1.0)
    with monkeypatch.context() as patch:
        patch.setattr(cpu, "scaled_worker", doubt_all)
        log = posteriors(e, lengths, packed, of, w, 1.0)
    assert torch.allclose(free, log[0], rtol=1e-12)
    assert torch.allclose(posterior, log[1], atol=1e-9)
    assert torch.allclose(counts, log[2], atol=1e-7)


@pytest.mark.slow
def test_one_lane(monkeypatch):
    """A lone large item is computed in one lane."""
    rng = np.random.default_rng(0)
    graphs = [chain(3), Topology(2, ints(0, 1), ints(0, 1), ints(0, 1), ints(0), ints(0, 1))]
    batch = problem(rng, graphs)
    lone = (batch[0][:2], batch[1][:2], ints(0, 1), batch[3])
    monkeypatch.setattr(cpu, "LARGE", 0)
    for beta in (1.0, math.inf):
        check(graphs, lone, beta)


@pytest.mark.parametrize("threads_used", [1, 2])
def test_threads_change_nothing(threads_used):
    rng = np.random.default_rng(0)
    graphs = [chain(3), chain(2)]
    batch = problem(rng, graphs * 4, T=9)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads_used)
        check(graphs * 4, batch, 1.0)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("beta", [0.7, 5.0])
def test_gradcheck_and_opcheck(beta):
    rng = np.random.default_rng(0)
    graphs = [
        Topology(3, ints(0, 0, 1, 1, 0, 2), ints(0, 1, 1, 2, 2, 0), ints(0, 1, 2, 0, -1, 1),
                 ints(0, 1), ints(1, 2)),
        chain(3),
    ]  # fmt: skip
    e, n, of, w = tensors(*problem(rng, graphs, impossible=0.0))
    e = torch.nan_to_num(e)
    packed = pack(graphs)
    e.requires_grad_(), w.requires_grad_()
    assert torch.autograd.gradcheck(lambda e, w: free_energy(e, n, packed, of, w, beta), (e, w))
    wide, flat = map(torch.from_numpy, join(packed))
    torch.library.opcheck(
        torch.ops.seqebm.trellis_free_energies.default,
        (e, n, wide, flat, of, w, beta, True, True),
    )


def test_infeasible_items_send_nothing_back():
    graph = chain(3)
    e = torch.zeros(2, 4, 3, dtype=torch.float64, requires_grad=True)
    w = torch.zeros(entries(graph), dtype=torch.float64, requires_grad=True)
    packed = pack([graph])
    assert packed.minimum_frames.tolist() == [2]
    of = torch.zeros(2, dtype=torch.int64)
    free = free_energy(e, torch.tensor([1, 4]), packed, of, w, 1.0)
    assert free[0] == math.inf and torch.isfinite(free[1])
    torch.autograd.backward(free, torch.tensor([math.inf, 1.0], dtype=torch.float64))
    assert torch.isfinite(e.grad).all() and not e.grad[0].any()
    assert abs(e.grad[1].sum() - 4) < 1e-12
    assert torch.isfinite(w.grad).all()
    _, paths = best_path(e.detach(), torch.tensor([1, 4]), packed, of, w.detach())
    assert paths[0] is None and paths[1] is not None


def test_minimum_frames():
    assert pack([Topology(2, *[ints()] * 3, ints(0), ints(1))]).minimum_frames.tolist() == [-1]
    assert pack([Topology(1, *[ints()] * 3, ints(0), ints(0))]).minimum_frames.tolist() == [0]
    assert pack([Topology(0, *[ints()] * 5)]).minimum_frames.tolist() == [-1]
    skip = Topology(4, ints(0, 1, 2, 0), ints(1, 2, 3, 2), ints(0, 0, 0, -1), ints(0), ints(3))
    packed = pack([skip])
    assert packed.minimum_frames.tolist() == [1] and packed.depth.tolist() == [1]


def test_memory_without_gradient_does_not_grow_with_frames():
    resource = pytest.importorskip("resource")
    graph = chain(2000)
    packed, w = pack([graph]), torch.zeros(entries(graph))
    e = torch.rand(4, 3000, 1).expand(4, 3000, 2000)[:, :, :1]
    graph = graph._replace(label=np.zeros_like(graph.label))
    packed = pack([graph])
    arguments = (torch.full((4,), 3000), packed, torch.zeros(4, dtype=torch.int64), w, 1.0)
    free_energy(e[:, :100], torch.full((4,), 100), *arguments[1:])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    free_energy(e, *arguments)
    # All rows would be 3000 * 2000 * 4 * 8 bytes, 190 megabytes.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000
