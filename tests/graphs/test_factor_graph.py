"""Factor graphs and their trellises, against enumeration of all assignments."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqebm.errors import GraphError
from seqebm.graphs import FactorGraph, enumerate_paths, shortest_path, total_energy


def tutorial(seed: int = 0) -> FactorGraph:
    """The factor graph of LeCun et al. (2006), figure 22: X is observed, so it is no variable."""
    rng = np.random.default_rng(seed)
    return FactorGraph.make(
        {"Z1": 2, "Z2": 2, "Y1": 2, "Y2": 3},
        [
            (("Z1",), rng.normal(size=2)),
            (("Z1", "Z2"), rng.normal(size=(2, 2))),
            (("Z2", "Y1"), rng.normal(size=(2, 2))),
            (("Y1", "Y2"), rng.normal(size=(2, 3))),
        ],
    )


@st.composite
def factor_graphs(draw) -> FactorGraph:
    names = [f"v{n}" for n in range(draw(st.integers(1, 5)))]
    sizes = {name: draw(st.integers(1, 3)) for name in names}
    factors = []
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    for _ in range(draw(st.integers(0, 6))):
        chosen = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))
        table = rng.normal(size=[sizes[name] for name in chosen])
        table[rng.random(table.shape) < 0.1] = np.inf
        factors.append((chosen, table))
    return FactorGraph.make(sizes, factors)


def free_energy(graph: FactorGraph, beta: float) -> float:
    energies = np.array([graph.energy(a) for a in graph.assignments()])
    if beta == math.inf or np.isinf(energies).all():
        return float(energies.min())
    least = energies.min()
    return float(least - np.log(np.exp(-beta * (energies - least)).sum()) / beta)


def test_sixteen_evaluations_instead_of_ninety_six():
    graph = tutorial()
    assert graph.enumeration_cost() == 96
    order = ["Z1", "Z2", "Y1", "Y2"]
    assert graph.trellis_cost(order) == graph.trellis(order).arcs == 16
    assert graph.trellis_cost() == 16, "and the order is found"


@settings(max_examples=60, deadline=None)
@given(factor_graphs(), st.data())
def test_the_trellis_has_the_assignments_for_paths(graph, data):
    order = data.draw(st.none() | st.permutations(list(graph.sizes)))
    trellis = graph.trellis(order)
    paths = list(enumerate_paths(trellis, len(graph.sizes)))
    found = {tuple(sorted(graph.read(trellis, p.inputs).items())): p.energy for p in paths}
    wanted = {tuple(sorted(a.items())): graph.energy(a) for a in graph.assignments()}
    wanted = {a: e for a, e in wanted.items() if e < math.inf}
    assert {a: e for a, e in found.items() if e < math.inf} == pytest.approx(wanted)
    evaluated = graph.trellis_cost(order)
    assert evaluated <= max(1, graph.enumeration_cost())


@settings(max_examples=40, deadline=None)
@given(factor_graphs(), st.sampled_from([0.1, 1.0, 7.0, math.inf]))
def test_min_sum_and_log_sum_exp(graph, beta):
    trellis = graph.trellis()
    assert total_energy(trellis, beta=beta) == pytest.approx(free_energy(graph, beta))
    best = shortest_path(trellis)
    if best is None or best.energy == math.inf:
        assert free_energy(graph, math.inf) == math.inf
    else:
        assert graph.energy(graph.read(trellis, best.inputs)) == pytest.approx(best.energy)


def test_a_long_chain_and_a_long_tree_stay_narrow():
    rng = np.random.default_rng(0)
    sizes = {f"v{n}": 3 for n in range(40)}
    chain = [((f"v{n}", f"v{n + 1}"), rng.normal(size=(3, 3))) for n in range(39)]
    assert FactorGraph.make(sizes, chain).trellis().arcs <= 40 * 9
    sizes = {f"v{n}": 2 for n in range(31)}
    tree = [((f"v{(n - 1) // 2}", f"v{n}"), rng.normal(size=(2, 2))) for n in range(1, 31)]
    assert FactorGraph.make(sizes, tree).trellis().arcs <= 31 * 2**5


@pytest.mark.parametrize(
    ("sizes", "factors", "match"),
    [
        ({"a": 0}, [], "has 0 values"),
        ({"a": 2}, [(("b",), [1, 2])], "distinct variables"),
        ({"a": 2}, [((), 1.0)], "distinct variables"),
        ({"a": 2}, [(("a", "a"), np.zeros((2, 2)))], "distinct variables"),
        ({"a": 2}, [(("a",), [1, 2, 3])], r"\(3,\), not \(2,\)"),
        ({"a": 2}, [(("a",), [1, math.nan])], "NaN"),
    ],
)
def test_what_is_no_factor_graph(sizes, factors, match):
    with pytest.raises(GraphError, match=match):
        FactorGraph.make(sizes, factors)


def test_an_order_must_be_one_of_the_variables():
    with pytest.raises(GraphError, match="is not one of the variables"):
        tutorial().trellis(["Z1"])
