"""The trellis: what is refused, beams, and CTC as a graph."""

import math

import numpy as np
import pytest
import torch
from test_trellis import chain, entries, ints

from seqebm.kernels.machine.topology import Topology
from seqebm.kernels.trellis.ops import EmptyBeamError, best_path, free_energy, unroll
from seqebm.kernels.trellis.packed import concatenate, pack


def ctc_graph(target):
    """The CTC topology: blank is class 0, and a state 0 before the first frame."""
    label = [0] + [c for t in target for c in (t, 0)]
    S = len(label)
    arcs = [(0, s) for s in (1, 2)[:S]] + [(s, s) for s in range(1, S + 1)]
    arcs += [(s, s + 1) for s in range(1, S)]
    arcs += [(s, s + 2) for s in range(2, S - 1, 2) if label[s - 1] != label[s + 1]]
    src, dst = np.array(arcs).T
    return Topology(S + 1, src, dst, np.array(label)[dst - 1], ints(0), ints(S - 1, S)[-S:])


def test_ctc():
    generator = torch.Generator().manual_seed(0)
    for size in range(30):
        B, T, C = 4, 12, 5
        sizes = torch.randint(0, 8, (B,), generator=generator)
        # Few classes: repeated labels are common, and targets that do not fit.
        targets = torch.randint(1, C, (B, 8), generator=generator)
        lengths = torch.randint(1, T + 1, (B,), generator=generator)
        logits = torch.randn(B, T, C, generator=generator) * (size % 3 + 1)
        one, other = logits.clone().requires_grad_(), logits.clone().requires_grad_()
        packed = concatenate(
            [pack([ctc_graph(t[:n].tolist())]) for t, n in zip(targets, sizes, strict=True)]
        )
        energies = torch.zeros(int(packed.entry_offsets[-1]))
        ours = free_energy(-one.log_softmax(-1), lengths, packed, torch.arange(B), energies, 1.0)
        scores = other.log_softmax(-1).transpose(0, 1)
        plain = torch.nn.functional.ctc_loss(scores, targets, lengths, sizes, reduction="none")
        assert torch.equal(torch.isinf(ours), torch.isinf(plain))
        finite = torch.isfinite(ours)
        assert torch.allclose(ours[finite], plain[finite], rtol=1e-4, atol=1e-4)
        repeats = (targets[:, 1:] == targets[:, :-1]) & (torch.arange(1, 8) < sizes[:, None])
        assert packed.minimum_frames.tolist() == (sizes + repeats.sum(1)).clamp_min(1).tolist()
        zeroed = torch.nn.functional.ctc_loss(
            scores, targets, lengths, sizes, reduction="sum", zero_infinity=True
        )
        to_one = torch.autograd.grad(ours[finite].sum(), one)[0] if finite.any() else one * 0
        to_other = torch.autograd.grad(zeroed, other)[0]
        assert torch.allclose(to_one, to_other, atol=1e-4)


def arguments(graph, T=4, C=3):
    e = torch.zeros(2, T, C, dtype=torch.float64)
    return (
        e, torch.tensor([T, T - 1]), pack([graph]), torch.zeros(2, dtype=torch.int64),
        torch.zeros(entries(graph), dtype=torch.float64),
    )  # fmt: skip


def test_refusals():
    e, n, packed, of, w = arguments(chain(3))
    bad = e.clone()
    bad[1, 2, 1] = math.nan
    with pytest.raises(ValueError, match=r"emissions\[1, 2, 1\] is nan"):
        free_energy(bad, n, packed, of, w, 1.0)
    bad = e.clone()
    bad[0, 3, 0] = -math.inf
    bad[1, 3] = math.nan  # padding
    bad[1, 1, 0] = math.inf  # legal
    with pytest.raises(ValueError, match=r"emissions\[0, 3, 0\] is -inf"):
        best_path(bad, n, packed, of, w)
    bad = w.clone()
    bad[6] = math.nan
    two = concatenate([packed, packed])
    with pytest.raises(ValueError, match=r"energies\[13\] \(entry 6 of graph 1\) is nan"):
        free_energy(e, n, two, of, torch.cat((w, bad)), 1.0)
    with pytest.raises(ValueError, match=r"graph_of\[1\] is 1; there are 1 graphs"):
        free_energy(e, n, packed, torch.tensor([0, 1]), w, 1.0)
    with pytest.raises(ValueError, match=r"graph_of has shape"):
        free_energy(e, n, packed, torch.tensor([0]), w, 1.0)
    with pytest.raises(ValueError, match=r"energies has shape \(6,\), expected \(7,\)"):
        free_energy(e, n, packed, of, w[1:], 1.0)
    with pytest.raises(ValueError, match=r"arc 2 of graph 0 has class 2, but emissions has 2"):
        free_energy(e[:, :, :2], n, packed, of, w, 1.0)
    with pytest.raises(ValueError, match=r"lengths\[1\] is 5"):
        free_energy(e, torch.tensor([4, 5]), packed, of, w, 1.0)
    with pytest.raises(ValueError, match="beta is -1"):
        free_energy(e, n, packed, of, w, -1)
    with pytest.raises(ValueError, match="beam is -1"):
        best_path(e, n, packed, of, w, beam=-1)
    with pytest.raises(ValueError, match="max_active is 0"):
        unroll(e, n, packed, of, w, 1.0, max_active=0)


def test_pack_refuses():
    with pytest.raises(ValueError, match=r"graph 1: a cycle of epsilon arcs"):
        pack([chain(2), Topology(2, ints(0, 1), ints(1, 0), ints(-1, -1), ints(0), ints(1))])
    with pytest.raises(ValueError, match=r"graph 0: dst\[1\] is 2"):
        pack([Topology(2, ints(0, 1), ints(1, 2), ints(0, 0), ints(0), ints(1))])
    with pytest.raises(ValueError, match=r"graph 0: label\[0\] is -2"):
        pack([Topology(2, ints(0), ints(1), ints(-2), ints(0), ints(1))])


def test_an_empty_batch():
    e, _, packed, of, w = arguments(chain(3))
    free = free_energy(e[:0], torch.zeros(0, dtype=torch.int64), packed, of[:0], w, 1.0)
    assert free.shape == (0,)


def test_empty_beam():
    # State 1 is cheap at first and leads nowhere; state 2 is dear and leads to the end.
    graph = Topology(4, ints(0, 0, 2), ints(1, 2, 3), ints(0, 1, 2), ints(0), ints(3))
    e, _, packed, of, w = arguments(graph, T=2)
    n = torch.tensor([2, 2])
    e[1, 0, 1] = 5.0
    energies, paths = best_path(e, n, packed, of, w, beam=5.0)
    assert energies.tolist() == [0.0, 5.0] and paths[1].arcs.tolist() == [1, 2]
    with pytest.raises(EmptyBeamError, match="item 1: no state is active after frame 1") as error:
        best_path(e, n, packed, of, w, beam=4.0)
    assert (error.value.item, error.value.frame) == (1, 1)
    # The same where the end is reached, but not in a final state.
    with pytest.raises(EmptyBeamError, match="item 1"):
        unroll(e, n, packed, of, w, 1.0, max_active=1)
    assert len(unroll(e, n, packed, of, w, 1.0, max_active=2)[1].arc) == 2
    # What has no path at all is no fault of the beam.
    w[2] = math.inf
    energies, paths = best_path(e, n, packed, of, w, beam=1e9)
    assert energies.tolist() == [math.inf] * 2 and paths == [None, None]


def test_a_narrow_beam_finds_a_path_within_it():
    rng = np.random.default_rng(0)
    every = np.arange(30)
    src, dst = np.repeat(every, 4), rng.integers(0, 30, 120)
    graph = Topology(30, src, dst, rng.integers(0, 5, 120), ints(0, 3), every)
    e = torch.tensor(rng.normal(size=(6, 40, 5)))
    arguments = (
        e, torch.full((6,), 40), pack([graph]), torch.zeros(6, dtype=torch.int64),
        torch.tensor(rng.normal(size=entries(graph))),
    )  # fmt: skip
    exact, _ = best_path(*arguments)
    for beam in (0.0, 0.5, 2.0, 8.0, math.inf):
        energies, _ = best_path(*arguments, beam=beam)
        assert (energies >= exact).all()
    assert torch.equal(energies, exact)
