"""Rows of the trellis: any graph that meets emissions. See :mod:`tools.bench.jobs`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tools.bench.devices import on_cuda

Array = NDArray[np.floating]
Job = Callable[[], Array]
WORDS, STATES_PER_WORD, SUCCESSORS, CLASSES = 400, 5, 10, 40


def word_loop(words: int = WORDS, on_states: bool = True) -> Any:
    """A start state and words of five states with self-loops; each word has ten successors.

    400 words make 2,001 states and 8,000 arcs. Labels are drawn for each state, or for each arc.
    """
    from seqebm.kernels.packed import Topology

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
    return Topology(1 + len(inside), src, dst, labels, np.zeros(1, np.int64), last)


def _energies(topology: Any, B: int, T: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
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


def _sum(on_states: bool, B: int = 8, T: int = 150) -> dict[str, Callable[..., Job]]:
    """Free energy and gradients of a word loop; the result is the gradient of the emissions."""

    def seqebm(dtype: torch.dtype = torch.float32, device: str = "cpu") -> Job:
        from seqebm.kernels.ops_trellis import trellis_free_energy
        from seqebm.kernels.packed import pack

        topology = word_loop(on_states=on_states)
        packed = pack([topology])
        leaves = [t.to(device).requires_grad_() for t in _energies(topology, B, T, dtype)]
        lengths, graph_of = torch.full((B,), T), torch.zeros(B, dtype=torch.int64)

        def run() -> Array:
            free = trellis_free_energy(leaves[0], lengths, packed, graph_of, leaves[1], 1.0)
            return torch.autograd.grad(free.sum(), leaves)[0].cpu().numpy()

        return run

    def torch_loop() -> Job:
        """Gather, add, exp and scatter in each frame, one maximum for an item; autograd."""
        topology = word_loop(on_states=on_states)
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

    return {
        "seqebm": seqebm, "torch loop": torch_loop, "k2": _absent("k2"), "gtn": _absent("gtn"),
        "seqebm on CUDA": on_cuda(seqebm),
    }  # fmt: skip


def _absent(name: str) -> Callable[[], Job]:
    def job() -> Job:
        raise ImportError(f"{name} has no package that pip installs here")

    return job


def ctc_graph(target: list[int]) -> Any:
    """The CTC topology of a target: blank is class 0, and a state before the first frame."""
    from seqebm.kernels.packed import Topology

    states = [0] + [c for label in target for c in (label, 0)]
    S = len(states)
    arcs = [(0, 1), (0, 2)][:S] + [(s, s) for s in range(1, S + 1)]
    arcs += [(s, s + 1) for s in range(1, S)]
    arcs += [(s, s + 2) for s in range(2, S - 1, 2) if states[s - 1] != states[s + 1]]
    src, dst = np.array(arcs, np.int64).T
    finals = np.array([S - 1, S][-S:], np.int64)
    return Topology(S + 1, src, dst, np.array(states)[dst - 1], np.zeros(1, np.int64), finals)


def _ctc(B: int = 16, T: int = 150, L: int = 20) -> dict[str, Callable[..., Job]]:
    """Loss and gradient of the logits, but for the logarithm of the softmax, which all share."""

    def data(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(0)
        scores = torch.randn(B, T, CLASSES, generator=generator).to(dtype)
        return scores, torch.randint(1, CLASSES, (B, L), generator=generator)

    def seqebm(dtype: torch.dtype = torch.float32) -> Job:
        from seqebm.kernels.ops_trellis import trellis_free_energy
        from seqebm.kernels.packed import concatenate, pack

        logits, targets = data(dtype)
        logits.requires_grad_()
        packs = [pack([ctc_graph(target)]) for target in targets.tolist()]
        lengths, graph_of = torch.full((B,), T), torch.arange(B)

        def run() -> Array:
            packed = concatenate(packs)
            weights = torch.zeros(int(packed.entry_offsets[-1]), dtype=dtype)
            energies = -logits.log_softmax(-1)
            free = trellis_free_energy(energies, lengths, packed, graph_of, weights, 1.0)
            return torch.autograd.grad(free.sum(), logits)[0].numpy()

        return run

    def torch_ctc() -> Job:
        logits, targets = data(torch.float32)
        logits.requires_grad_()
        lengths, sizes = torch.full((B,), T), torch.full((B,), L)

        def run() -> Array:
            scores = logits.log_softmax(-1).transpose(0, 1)
            loss = torch.nn.functional.ctc_loss(scores, targets, lengths, sizes, reduction="sum")
            return torch.autograd.grad(loss, logits)[0].numpy()

        return run

    def softmax() -> Job:
        logits = data(torch.float32)[0].requires_grad_()
        factor = torch.ones(B, T, CLASSES)
        return lambda: torch.autograd.grad(logits.log_softmax(-1), logits, factor)[0].numpy()

    return {"seqebm": seqebm, "torch": torch_ctc, "(log-softmax alone)": softmax}


def _best(beam: float | None, B: int = 8, T: int = 150) -> dict[str, Callable[..., Job]]:
    """Best paths of the word loop; the result is their energies."""

    def seqebm(dtype: torch.dtype = torch.float32) -> Job:
        from seqebm.kernels.ops_trellis import trellis_best_path
        from seqebm.kernels.packed import pack

        topology = word_loop()
        packed = pack([topology])
        emissions, weights = _energies(topology, B, T, dtype)
        lengths, graph_of = torch.full((B,), T), torch.zeros(B, dtype=torch.int64)

        def run() -> Array:
            return trellis_best_path(emissions, lengths, packed, graph_of, weights, beam)[0].numpy()

        return run

    def kaldi_decoder() -> Job:
        import kaldi_decoder as kaldi
        import kaldifst

        topology = word_loop()
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

    return {
        "seqebm": seqebm, "kaldi-decoder": kaldi_decoder, "k2": _absent("k2"), "gtn": _absent("gtn")
    }  # fmt: skip


_LOOP = "2,001 states, 8,000 arcs, T 150, C 40, B 8"
ROWS: dict[str, tuple[str, dict[str, Callable[..., Job]]]] = {
    "trellis": (f"free energy + gradients, labels on states, {_LOOP}", _sum(True)),
    "trellis_arcs": (f"free energy + gradients, labels on arcs, {_LOOP}", _sum(False)),
    "ctc": ("CTC as a graph, forward + backward, B 16, T 150, C 40, L 20", _ctc()),
    "best": (f"best path, exact, {_LOOP}", _best(None)),
    "best_beam": (f"best path, beam 10, {_LOOP}", _best(10.0)),
}


def growth() -> list[tuple[str, list[tuple[int, float]], float]]:
    """How time grows over a decade of frames and of arcs.

    Returns:
        (what grows, [(size, least seconds)], fitted exponent): time ~ size ** exponent.
    """
    from seqebm.kernels.ops_trellis import trellis_free_energy
    from seqebm.kernels.packed import pack

    def seconds(words: int, T: int) -> float:
        topology = word_loop(words)
        packed = pack([topology])
        leaves = [t.requires_grad_() for t in _energies(topology, 4, T, torch.float32)]
        lengths, graph_of = torch.full((4,), T), torch.zeros(4, dtype=torch.int64)
        least = math.inf
        for _ in range(7):
            begin = time.perf_counter()
            free = trellis_free_energy(leaves[0], lengths, packed, graph_of, leaves[1], 1.0)
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
