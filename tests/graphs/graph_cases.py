"""Random graphs, and what the tests of graph operations compare."""

import numpy as np
from hypothesis import strategies as st

from seqebm.graphs import Graph, enumerate_paths

WEIGHTS = 3
LABELS = 2


@st.composite
def graphs(draw, cyclic=True, epsilon="any", acceptor=False, ties=True, states=4, arcs=6):
    """A small graph, perhaps empty, with dead ends, epsilons, ties and cycles.

    epsilon: "any"; "forward": arcs with an epsilon lead to larger states; "none".
    """
    rich = draw(st.integers(0, 9)) > 1  # most cases shall have paths
    size = draw(st.integers(states // 2 if rich else 1, states))
    state = st.integers(0, size - 1)
    label = st.integers(1 if epsilon == "none" else 0, LABELS)
    rows = []
    for _ in range(draw(st.integers(arcs // 2 if rich else 0, arcs))):
        s, d, i, o = draw(state), draw(state), draw(label), draw(label)
        if acceptor:
            o = i
        if not cyclic or (epsilon == "forward" and not (i and o)):
            s, d = min(s, d), max(s, d)
            if s == d and s:
                s -= 1
            elif s == d:
                continue
        rows.append((s, d, i, o))
    some = st.lists(state, unique=True, max_size=2)
    starts, finals = draw(some), draw(some)
    if rich:
        starts = sorted({0, *starts})
        finals = list(dict.fromkeys([rows[-1][1] if rows else 0, *finals]))
    entries = len(rows) + len(starts) + len(finals)
    numbers = st.lists(st.integers(-4, 8), min_size=entries, max_size=entries)
    energy = np.array(draw(numbers), dtype=float) / 4
    ids = draw(st.lists(st.integers(-1, WEIGHTS - 1), min_size=entries, max_size=entries))
    if not ties:
        ids = [-1] * entries
    return Graph.make(size, rows, starts, finals, energy, ids, weights=WEIGHTS)


def weight_vectors():
    """Two random vectors of tied weights."""
    rng = np.random.default_rng(5)
    return [rng.normal(size=WEIGHTS) for _ in range(2)]


def check_maps(derived, *operands):
    """The new energies are those of the operands, through the maps."""
    derived.graph.check()
    assert len(derived.maps) == len(operands)
    for w in weight_vectors():
        total = np.zeros(derived.graph.entries)
        for rows, operand in zip(derived.maps, operands, strict=True):
            assert rows.shape == (derived.graph.entries, operand.entries)
            total += rows @ operand.energies(w[: operand.weights])
        np.testing.assert_allclose(
            derived.graph.energies(w[: derived.graph.weights]), total, atol=1e-9
        )


def check_same(found, expected):
    """Two collections of (inputs, outputs, energy) are the same multiset."""

    def key(row):
        return row[0], row[1], round(row[2], 6)

    found, expected = sorted(found, key=key), sorted(expected, key=key)
    assert [row[:2] for row in found] == [row[:2] for row in expected]
    np.testing.assert_allclose([r[2] for r in found], [r[2] for r in expected], atol=1e-9)


def rows(paths):
    return [(path.inputs, path.outputs, path.energy) for path in paths]


def paths(graph, *limits, w):
    """All paths; a graph may use fewer of the weights than there are."""
    return list(enumerate_paths(graph, *limits, weights=w[: graph.weights]))


def linear(string, outputs=None):
    """The graph of one string."""
    n = len(string)
    outputs = string if outputs is None else outputs
    arcs = [(k, k + 1, string[k], outputs[k]) for k in range(n)]
    return Graph.make(n + 1, arcs, [0], [n])
