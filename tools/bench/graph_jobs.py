"""Rows of the trellis: any graph that meets emissions. See :mod:`tools.bench.row`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from tools.bench.row import REAL, Array, Job, Row, absent, on_cuda

WORDS, STATES_PER_WORD, SUCCESSORS, CLASSES = 400, 5, 10, 40


class Loop(NamedTuple):
    """A graph in the form of :class:`seqebm.kernels.machine.topology.Topology`."""

    states: int
    src: Any
    dst: Any
    label: Any
    starts: Any
    finals: Any


def word_loop(words: int = WORDS, on_states: bool = True) -> Loop:
    """A start state and words of five states with self-loops; each word has ten successors.

    400 words make 2,001 states and 8,000 arcs. Labels are drawn for each state, or for each arc.
    """
    rng = np.random.default_rng(0)
    first = 1 + STATES_PER_WORD * np.arange(words)
    inside = 1 + np.arange(words * STATES_PER_WORD)
    last = first + STATES_PER_WORD - 1
    forward = inside[(inside - 1) % STATES_PER_WORD < STATES_PER_WORD - 1]
    chosen = np.concatenate([rng.choice(words, SUCCESSORS, replace=False) for _ in range(words)])
    src = np.concatenate((np.zeros(words), inside, forward, np.repeat(last, SUCCESSORS)))
    dst = np.concatenate((first, inside, forward + 1, first[chosen]))
    src, dst = src.astype(np.int64), dst.astype(np.int64)
    labels = rng.integers(0, CLASSES, 1 + len(inside))[dst]
    if not on_states:
        labels = rng.integers(0, CLASSES, len(src))
    return Loop(1 + len(inside), src, dst, labels, np.zeros(1, np.int64), last)


def _packed(loop: Loop) -> Any:
    from seqebm.kernels.machine.topology import Topology
    from seqebm.kernels.trellis.packed import pack

    return pack([Topology(*loop)])


def _energies(topology: Loop, B: int, T: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Emissions (B, T, C) that favour a path of the graph, with noise; energies of the entries."""
    rng = np.random.default_rng(1)
    emissions = 2 * rng.normal(size=(B, T, CLASSES))
    leaving = [np.flatnonzero(topology.src == state) for state in range(topology.states)]
    final = np.isin(np.arange(topology.states), topology.finals)
    for b in range(B):
        state = 0
        while not final[state]:
            state, labels = topology.starts[0], []
            for _ in range(T):
                arc = rng.choice(leaving[state])
                labels.append(topology.label[arc])
                state = topology.dst[arc]
        emissions[b, np.arange(T), labels] -= 6
    entries = len(topology.src) + len(topology.starts) + len(topology.finals)
    weights = rng.random(entries)
    return torch.tensor(emissions, dtype=dtype), torch.tensor(weights, dtype=dtype)


class _K2(NamedTuple):
    """The word loop and its emissions as k2 takes them."""

    graphs: Any
    start: Tensor
    B: int
    T: int

    @classmethod
    def make(cls, loop: Loop, weights: Tensor, B: int, T: int) -> _K2:
        """k2 wants one start, state 0, and one final, the last, which arcs of label -1 enter."""
        import k2

        A, last = len(loop.src), loop.states
        end = np.full(len(loop.finals), last)
        src, dst = np.concatenate((loop.src, loop.finals)), np.concatenate((loop.dst, end))
        label = np.concatenate((loop.label + 1, np.full(len(end), -1)))
        scores = -torch.cat((weights[:A], weights[A + 1 :])).numpy()
        order = np.lexsort((dst, src))
        lines = [f"{src[a]} {dst[a]} {label[a]} {scores[a]:.9g}" for a in order]
        graph = k2.Fsa.from_str("\n".join([*lines, str(last)]))
        return cls(k2.create_fsa_vec([graph] * B), weights[A], B, T)

    def intersect(self, emissions: Tensor) -> Any:
        """All paths of all items: exact, as the beam is wider than any difference."""
        import k2

        B, T = self.B, self.T
        # Column 0 is nobody's: k2 keeps that label for other uses.
        scores = torch.cat((emissions.new_full((B, T, 1), -1e4), -emissions), 2)
        segments = torch.tensor([[b, 0, T] for b in range(B)], dtype=torch.int32)
        dense = k2.DenseFsaVec(scores, segments)
        return k2.intersect_dense(self.graphs, dense, 1e5)


def _moved(words: int, B: int, T: int, gradient: bool) -> int:
    """Bytes: emissions, graph and, with a gradient, it and a table of float32 forward numbers."""
    arcs = words * (2 * STATES_PER_WORD + SUCCESSORS)
    states = 1 + words * STATES_PER_WORD
    back = REAL * (B * T * CLASSES + arcs + 2 * B * T * states)
    return REAL * B * T * CLASSES + arcs * 3 * REAL + (back if gradient else 0)


def _sum(on_states: bool, words: int = WORDS, B: int = 8, T: int = 150) -> Row:
    """Free energy and gradients of a word loop; the result is the gradient of the emissions."""

    def seqebm(dtype: torch.dtype = torch.float32, device: str = "cpu") -> Job:
        from seqebm.kernels.trellis.ops import free_energy

        topology = word_loop(words, on_states)
        packed = _packed(topology)
        leaves = [t.to(device).requires_grad_() for t in _energies(topology, B, T, dtype)]
        lengths, graph_of = torch.full((B,), T), torch.zeros(B, dtype=torch.int64)

        def run() -> Array:
            free = free_energy(leaves[0], lengths, packed, graph_of, leaves[1], 1.0)
            return torch.autograd.grad(free.sum(), leaves)[0].cpu().numpy()

        return run

    def torch_loop() -> Job:
        """Gather, add, exp and scatter in each frame, one maximum for an item; autograd."""
        topology = word_loop(words, on_states)
        emissions, weights = (t.requires_grad_() for t in _energies(topology, B, T, torch.float32))
        src, dst = torch.from_numpy(topology.src), torch.from_numpy(topology.dst)
        label = torch.from_numpy(topology.label)
        of_state = torch.zeros(topology.states, dtype=torch.int64).scatter(0, dst, label)
        finals = torch.from_numpy(topology.finals)
        A = len(src)

        def run() -> Array:
            scores, arcs, frames = -emissions, -weights[:A], T
            alpha = torch.full((B, topology.states), -1e30)
            alpha[:, 0] = -weights[A]
            for t in range(frames):
                ways = alpha.index_select(1, src) + arcs
                if not on_states:
                    ways = ways + scores[:, t].index_select(1, label)
                most = ways.detach().max(1, keepdim=True).values
                total = torch.zeros(B, topology.states).index_add(1, dst, (ways - most).exp())
                alpha = total.clamp_min(1e-38).log() + most
                if on_states:
                    alpha = alpha + scores[:, t].index_select(1, of_state)
            score = torch.logsumexp(alpha[:, finals] - weights[A + 1 :], 1)
            return torch.autograd.grad(-score.sum(), (emissions, weights))[0].numpy()

        return run

    def k2() -> Job:
        loop = word_loop(words, on_states)
        emissions, weights = _energies(loop, B, T, torch.float32)
        problem = _K2.make(loop, weights, B, T)
        emissions.requires_grad_()

        def run() -> Array:
            scores = problem.intersect(emissions).get_tot_scores(True, True)
            return torch.autograd.grad(-scores.sum(), emissions)[0].numpy()

        return run

    return Row(
        f"free energy + gradients, labels on {'states' if on_states else 'arcs'}, "
        f"{_size(words)}, T {T}, C {CLASSES}, B {B}",
        {
            "seqebm": seqebm, "torch loop": torch_loop,
            "k2": k2 if words <= WORDS else absent("k2", "would keep 96 million arcs here"),
            "gtn": NO_GTN, "seqebm on CUDA": on_cuda(seqebm),
        },
        _moved(words, B, T, True),
    )  # fmt: skip


def _size(words: int) -> str:
    return f"{1 + STATES_PER_WORD * words:,} states, {20 * words:,} arcs"


NO_GTN = absent("gtn", "has no package that pip installs: its sources lack the C++ part")


def ctc_graph(target: list[int]) -> Any:
    """The CTC topology of a target: blank is class 0, and a state before the first frame."""
    from seqebm.kernels.machine.topology import Topology

    states = [0] + [c for label in target for c in (label, 0)]
    S = len(states)
    arcs = [(0, 1), (0, 2)][:S] + [(s, s) for s in range(1, S + 1)]
    arcs += [(s, s + 1) for s in range(1, S)]
    arcs += [(s, s + 2) for s in range(2, S - 1, 2) if states[s - 1] != states[s + 1]]
    src, dst = np.array(arcs, np.int64).T
    finals = np.array([S - 1, S][-S:], np.int64)
    return Topology(S + 1, src, dst, np.array(states)[dst - 1], np.zeros(1, np.int64), finals)


def _ctc(B: int = 16, T: int = 150, L: int = 20) -> Row:
    """Loss and gradient of the logits, but for the logarithm of the softmax, which all share."""

    def data(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng(0)
        scores = torch.tensor(rng.normal(size=(B, T, CLASSES)), dtype=dtype)
        return scores, torch.from_numpy(rng.integers(1, CLASSES, (B, L)))

    def seqebm(dtype: torch.dtype = torch.float32, device: str = "cpu") -> Job:
        from seqebm.kernels.trellis.ops import free_energy
        from seqebm.kernels.trellis.packed import concatenate, pack

        logits, targets = data(dtype)
        logits = logits.to(device).requires_grad_()
        packs = [pack([ctc_graph(target)]) for target in targets.tolist()]
        lengths, graph_of = torch.full((B,), T), torch.arange(B)

        def run() -> Array:
            packed = concatenate(packs)
            weights = torch.zeros(int(packed.entry_offsets[-1]), dtype=dtype, device=device)
            energies = -logits.log_softmax(-1)
            free = free_energy(energies, lengths, packed, graph_of, weights, 1.0)
            return torch.autograd.grad(free.sum(), logits)[0].cpu().numpy()

        return run

    def torch_ctc(device: str = "cpu") -> Job:
        logits, targets = data(torch.float32)
        logits, targets = logits.to(device).requires_grad_(), targets.to(device)
        lengths, sizes = torch.full((B,), T), torch.full((B,), L)

        def run() -> Array:
            scores = logits.log_softmax(-1).transpose(0, 1)
            loss = torch.nn.functional.ctc_loss(scores, targets, lengths, sizes, reduction="sum")
            return torch.autograd.grad(loss, logits)[0].cpu().numpy()

        return run

    def softmax() -> Job:
        logits = data(torch.float32)[0].requires_grad_()
        factor = torch.ones(B, T, CLASSES)
        return lambda: torch.autograd.grad(logits.log_softmax(-1), logits, factor)[0].numpy()

    return Row(
        f"CTC as a graph, forward + backward, B {B}, T {T}, C {CLASSES}, L {L}",
        {
            "seqebm": seqebm, "torch": torch_ctc, "(log-softmax alone)": softmax,
            "seqebm on CUDA": on_cuda(seqebm), "torch on CUDA": on_cuda(torch_ctc),
        },
        REAL * B * T * (2 * CLASSES + 2 * (2 * L + 1)),
    )  # fmt: skip


def _best(beam: float | None, words: int = WORDS, B: int = 8, T: int = 150) -> Row:
    """Best paths of the word loop; the result is their energies."""

    def seqebm(dtype: torch.dtype = torch.float32, device: str = "cpu") -> Job:
        from seqebm.kernels.trellis.ops import best_path

        topology = word_loop(words)
        packed = _packed(topology)
        emissions, weights = (t.to(device) for t in _energies(topology, B, T, dtype))
        lengths, graph_of = torch.full((B,), T), torch.zeros(B, dtype=torch.int64)

        def run() -> Array:
            least = best_path(emissions, lengths, packed, graph_of, weights, beam)[0]
            return least.cpu().numpy()

        return run

    def kaldi_decoder() -> Job:
        import kaldi_decoder as kaldi
        import kaldifst

        topology = word_loop(words)
        emissions, weights = (t.numpy() for t in _energies(topology, B, T, torch.float32))
        A = len(topology.src)
        fst = kaldifst.StdVectorFst()
        for _ in range(topology.states):
            fst.add_state()
        fst.start = 0
        for s, d, k, w in zip(*topology[1:4], weights[:A], strict=True):
            fst.add_arc(int(s), kaldifst.StdArc(int(k) + 1, int(k) + 1, float(w), int(d)))
        for state, weight in zip(topology.finals, weights[A + 1 :], strict=True):
            fst.set_final(int(state), float(weight))
        options = kaldi.FasterDecoderOptions(beam=1e9 if beam is None else beam)

        def run() -> Array:
            totals = []
            for x in emissions:
                decoder = kaldi.FasterDecoder(fst, options)
                decoder.decode(kaldi.DecodableCtc(-x))
                _, path = decoder.get_best_path()
                weight = kaldifst.get_linear_symbol_sequence(path)[3]
                totals.append(weights[A] + weight.value1 + weight.value2)
            return np.array(totals)

        return run

    def k2() -> Job:
        import k2

        loop = word_loop(words)
        emissions, weights = _energies(loop, B, T, torch.float32)
        problem = _K2.make(loop, weights, B, T)

        def run() -> Array:
            best = k2.shortest_path(problem.intersect(emissions), True)
            return (problem.start - best.get_tot_scores(True, False)).numpy()

        return run

    contenders: dict[str, Callable[..., Job]] = {"seqebm": seqebm, "kaldi-decoder": kaldi_decoder}
    if beam is None:
        contenders |= {"k2": k2, "gtn": NO_GTN, "seqebm on CUDA": on_cuda(seqebm)}
    kind = "exact" if beam is None else f"beam {beam:g}"
    return Row(
        f"best path, {kind}, {_size(words)}, T {T}, C {CLASSES}, B {B}", contenders,
        _moved(words, B, T, False),
    )  # fmt: skip


ROWS: dict[str, Row] = {
    "trellis-small": _sum(True, 40),
    "trellis": _sum(True),
    "trellis-large": _sum(True, 4000),
    "trellis_arcs": _sum(False),
    "ctc-small": _ctc(4, 50, 5),
    "ctc": _ctc(),
    "ctc-large": _ctc(32, 800, 60),
    "best": _best(None),
    "best_beam": _best(10.0),
    "best_beam-large": _best(10.0, 4000),
}


def growth() -> list[tuple[str, list[tuple[int, float]], float]]:
    """How time grows over a decade of frames and of arcs.

    Returns:
        (what grows, [(size, least seconds)], fitted exponent): time ~ size ** exponent.
    """
    from seqebm.kernels.trellis.ops import free_energy

    def seconds(words: int, T: int) -> float:
        topology = word_loop(words)
        packed = _packed(topology)
        leaves = [t.requires_grad_() for t in _energies(topology, 4, T, torch.float32)]
        lengths, graph_of = torch.full((4,), T), torch.zeros(4, dtype=torch.int64)
        least = math.inf
        for _ in range(7):
            begin = time.perf_counter()
            free = free_energy(leaves[0], lengths, packed, graph_of, leaves[1], 1.0)
            torch.autograd.grad(free.sum(), leaves)
            least = min(least, time.perf_counter() - begin)
        return least

    sizes = [1, 2, 5, 10]
    found = []
    frames = [(100 * n, seconds(200, 100 * n)) for n in sizes]
    arcs = [(2000 * n, seconds(100 * n, 100)) for n in sizes]
    for name, points in (("frames, 4,000 arcs", frames), ("arcs, 100 frames", arcs)):
        size, took = np.log(np.array(points)).T
        found.append((name, points, float(np.polyfit(size, took, 1)[0])))
    return found
