"""Builders, against the languages that they should accept."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from graph_strings import labels_on_states, paths, strings
from hypothesis import given, settings
from hypothesis import strategies as st

from seqebm.errors import GraphError
from seqebm.graphs import Symbols, compose, replace
from seqebm.graphs.builders import (
    bakis,
    bigram_loop,
    character_graph,
    ctc,
    ctc_linear,
    linear,
    scaled,
    word_loop,
)


def test_linear():
    graph = linear([3, 1, 1], energy=[1, 2, 4], weight=[0, -1, 0])
    assert strings(graph, 5, [10.0], writes=True) == {((3, 1, 1), (3, 1, 1)): [27.0]}
    assert strings(linear([]), 3) == {(): [0.0]}
    symbols = Symbols(["yes", "no"])
    named = linear(["no", 1], olabels=[0, 5], isymbols=symbols)
    assert strings(named, 5, writes=True) == {((2, 1), (5,)): [0.0]}
    assert linear(["no"], isymbols=symbols).osymbols is symbols
    with pytest.raises(GraphError, match=r"unknown symbol 'noo'. Did you mean 'no'"):
        linear(["noo"], isymbols=symbols)
    with pytest.raises(GraphError, match="give the symbols"):
        linear(["no"])
    with pytest.raises(GraphError, match="1 olabels for 2 labels"):
        linear([1, 2], [1])
    with pytest.raises(GraphError, match=r"weight has shape \(1,\); \(2,\)"):
        linear([1, 2], weight=[1])


@pytest.mark.parametrize("skip", [0, 1, 2])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_bakis_accepts_what_a_left_to_right_model_does(count, skip):
    classes = [4, 2, 4, 0][:count]
    loops, nexts = np.arange(count), count + np.arange(count)
    leaps = 2 * count + np.arange(count * skip).reshape(count, skip)
    enter = 2 * count + count * skip
    values = np.random.default_rng(0).normal(size=enter + 1)
    graph = bakis(classes, skip, loops, nexts, leaps, enter, olabel=7, weights=enter + 1)
    assert labels_on_states(graph)
    want = {}
    for length in range(1, 6):
        for states in itertools.product(range(count), repeat=length):
            steps = np.diff(states)
            if states[0] or states[-1] != count - 1 or not all(0 <= d <= 1 + skip for d in steps):
                continue
            energy = values[enter] + values[nexts[-1]]
            for state, step in zip(states, steps, strict=False):
                ids = (loops[state], nexts[state], *leaps[state])
                energy += values[ids[step]]
            key = (tuple(classes[s] + 1 for s in states), (7,))
            want.setdefault(key, []).append(energy)
    got = strings(graph, 5, values, writes=True)
    assert got.keys() == want.keys()
    for key, energies in want.items():
        assert got[key] == pytest.approx(sorted(energies))
    assert min(len(reads) for reads, _ in got) == 1 + math.ceil((count - 1) / (1 + skip))


def test_bakis_is_checked():
    with pytest.raises(GraphError, match="a model needs one or more"):
        bakis([])
    with pytest.raises(GraphError, match="none below 0"):
        bakis([0, -1])
    with pytest.raises(GraphError, match="skip is -1"):
        bakis([0], skip=-1)
    with pytest.raises(GraphError, match=r"next_weights has shape \(2,\); \(3,\)"):
        bakis([0, 1, 2], next_weights=[0, 1])


def collapse(classes, blank):
    """B of Graves et al. 2006, with labels numbered from 1 in the order of the other classes."""
    kept = [c for c, _ in itertools.groupby(classes) if c != blank]
    return tuple(c + (c < blank) for c in kept)


@pytest.mark.parametrize("blank", [0, 1, 2])
def test_ctc_collapses_every_string(blank):
    graph = ctc(2, blank)
    assert labels_on_states(graph)
    got = strings(graph, 5, writes=True)
    want = {}
    for length in range(6):
        for classes in itertools.product(range(3), repeat=length):
            want[tuple(c + 1 for c in classes), collapse(classes, blank)] = [0.0]
    assert got == want


@settings(max_examples=30)
@given(st.lists(st.integers(1, 2), max_size=3), st.integers(0, 2))
def test_ctc_linear_accepts_what_collapses_to_the_target(target, blank):
    graph = ctc_linear(target, blank)
    assert graph.states == 2 * len(target) + 1 and labels_on_states(graph)
    got = strings(graph, 5, writes=True)
    want = {
        (tuple(c + 1 for c in classes), tuple(target)): [0.0]
        for length in range(6)
        for classes in itertools.product(range(3), repeat=length)
        if collapse(classes, blank) == tuple(target)
    }
    assert got == want


@pytest.mark.parametrize("target", [(), (1,), (1, 1), (2, 1, 1)])
def test_ctc_linear_is_the_composition(target):
    composed = compose(ctc(2, 1), linear(target)).graph
    assert strings(composed, 5, writes=True) == strings(ctc_linear(target, 1), 5, writes=True)


def test_models_can_be_strung_together():
    words = word_loop([1, 2], silence=3)
    models = {1: bakis([0, 1]), 2: bakis([2]), 3: bakis([3])}
    graph = replace(words, models, on="input").graph
    got = strings(graph, 4, writes=True)
    assert got[(1, 2, 3), (1, 2)] == [0.0]
    assert got[(4, 1, 2, 4), (1,)] == [0.0]
    assert len(got[(3, 3, 3), (2, 2)]) == 2  # where the first word ends


def test_ctc_is_checked():
    with pytest.raises(GraphError, match=r"blank is class 4; the classes are 0 .. 2"):
        ctc(2, 4)
    with pytest.raises(GraphError, match="has epsilon in it"):
        ctc_linear([0, 1])


@pytest.mark.parametrize("silence", [None, 9])
@pytest.mark.parametrize("empty", [False, True])
def test_word_loop(silence, empty):
    graph = word_loop([1, 2], [0.5, 0.25], [0, -1], 2, silence, 1, empty)
    got = strings(graph, 4, [10.0, 100.0], writes=True)
    want = {}
    gaps = [()] if silence is None else [(), (9,)]
    for count in range(0 if empty else 1, 5):
        for words in itertools.product([1, 2], repeat=count):
            places = itertools.product(gaps, repeat=count + 1 if count else 1)
            for pauses in places:
                reads = [*pauses[0]]
                for word, pause in zip(words, pauses[1:], strict=False):
                    reads += [word, *pause]
                if len(reads) <= 4:
                    energy = sum(10.5 if w == 1 else 0.25 for w in words)
                    energy += 100.0 * reads.count(9)
                    want[tuple(reads), words] = [energy]
    assert got == want


@pytest.mark.parametrize("silence", [None, 9])
def test_bigram_loop(silence):
    rng = np.random.default_rng(1)
    energy = rng.normal(size=(4, 4)).round(3)
    energy[0, 0] = energy[1, 2] = energy[3, 0] = np.inf
    weight = np.where(rng.random((4, 4)) < 0.5, 0, -1)
    graph = bigram_loop([5, 6, 7], energy, weight, 2, silence, 1)
    got = strings(graph, 3, [10.0, 100.0], writes=True)
    total = energy + 10.0 * (weight == 0)
    for count in range(4):
        for words in itertools.product(range(1, 4), repeat=count):
            chain = (0, *words, 0)
            want = sum(total[pair] for pair in itertools.pairwise(chain))
            key = (tuple(w + 4 for w in words),) * 2
            assert got.pop(key, [np.inf]) == pytest.approx([want])
            if silence and count < 3:
                key = ((9, *key[0]), key[1])
                assert got.pop(key, [np.inf]) == pytest.approx([want + 100.0])
    assert all(len(energies) == 1 and 9 in reads for (reads, _), energies in got.items())


def test_bigram_loop_without_energies_accepts_all_but_the_empty_string():
    got = strings(bigram_loop(["a", "b"], isymbols=Symbols("ab")), 3)
    assert len(got) == 2 + 4 + 8 and () not in got


def test_character_graph():
    symbols = Symbols([*"abc", "<space>"])
    assert list(strings(character_graph(" ab  c\n", symbols), 9)) == [(1, 2, 3)]
    assert list(strings(character_graph("ab  c", symbols, "<space>"), 9)) == [(1, 2, 4, 3)]
    with pytest.raises(GraphError, match="unknown symbol 'x'"):
        character_graph("xa", symbols)


def test_scaled():
    graph = linear([1, 2], energy=[1.0, math.inf], weight=[0, 0])
    assert scaled(graph, 2.5).energies([1.0]).tolist() == [5.0, math.inf, 0, 0]
    assert scaled(graph, 0).energies([1.0]).tolist() == [0.0, math.inf, 0, 0]
    with pytest.raises(GraphError, match="factor is -1"):
        scaled(graph, -1)


def test_arcs_of_paths_are_counted_once():
    assert sum(1 for _ in paths(linear([1, 2]), 3)) == 1
