"""The graphs of a hierarchical recogniser: sentence -> word -> unit -> states.

A *unit* is what words are made of: a phone, a letter, or the word itself. Three topologies of
units meet the frames:

``bakis``
    each unit is a left-to-right HMM of a few states, an emission class for each;
``ctc``
    one class a unit and a blank, with CTC's rules (Graves et al. 2006).

Tied weights, in this order: 0 the scale of the language model, 1 the penalty of a word, and then
for every class of an HMM two, staying in its state and leaving it.
"""

from __future__ import annotations

import copy
import dataclasses
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from seqebm.errors import ConfigError, DataError
from seqebm.graphs import EPSILON, Graph, Symbols
from seqebm.graphs.automaton import minimal_acceptor
from seqebm.graphs.builders import bakis, ctc, linear
from seqebm.graphs.edit import edit_cost
from seqebm.graphs.epsilon import remove_epsilon
from seqebm.graphs.hierarchy import replace
from seqebm.graphs.lexicon import Lexicon, word_graphs
from seqebm.graphs.ngram import Arpa, ngram
from seqebm.graphs.product import compose, difference
from seqebm.graphs.trim import separate
from seqebm.inference.segments import Classes
from seqebm.inference.trellis import Prepared, prepare
from seqebm.lattices.tokens import Tokens, join, split
from seqebm.spelling import alike

logger = logging.getLogger(__name__)

LM_SCALE, WORD_PENALTY = 0, 1
SILENCE = "<sil>"  # as a word of a sentence's graph; it writes nothing
_CACHED = 4096  # prepared graphs kept, of either kind


class HMMGraphs:
    """Everything about topology that a model needs, prepared on demand and kept.

    Args:
        lexicon: the words and their pronunciations.
        states: emitting states of a unit (topology bakis).
        silence_states: states of the optional silence between words; 0: none.
        skip: most states that one step may leap over.
        topology: ``"bakis"`` or ``"ctc"``.
        grammar: n-gram model; None: any string of words, each at no cost.
        tokens: what transcripts are split into; with ``"characters"``, each character is a "word".
        strings: the only transcripts there are; None: any.

    Attributes:
        words: names of the output labels, 1 to number of words.
        classes: names of the emission classes, ``unit.state``.
        inventory: what the classes stand for.
        weights: number of tied weights.
        full: the contrastive graph: all sentences.
    """

    def __init__(
        self,
        lexicon: Lexicon,
        states: int,
        silence_states: int,
        skip: int,
        topology: str,
        grammar: Arpa | None,
        tokens: Tokens = "words",
        strings: Iterable[str] | None = None,
    ) -> None:
        self.lexicon, self.topology, self.skip = lexicon, topology, skip
        self.tokens: Tokens = tokens
        self.words = Symbols(lexicon.words)
        self.units = Symbols(lexicon.phones)
        self._silence = 0
        if topology == "ctc":
            self.classes = ["blank", *self.units]
            self.weights = 2
            self.inventory = _ctc_classes(self.classes)
        else:
            states_of = [(unit, states) for unit in self.units]
            if silence_states:
                self._silence = len(self.words) + 1
                states_of.append((SILENCE, silence_states))
            self.inventory = _state_classes(states_of)
            self.classes = list(self.inventory.names)
            self.weights = 2 + 2 * len(self.classes)
        self._states, self._silence_states = states, silence_states
        self._models = dict(enumerate(self._words(lexicon), 1))
        if self._silence:
            first = len(self.classes) - silence_states
            self._models[self._silence] = self._hmm(range(first, len(self.classes)), 0)
        self._use(self._grammar(grammar, strings))

    def _use(self, grammar: Graph) -> None:
        self.grammar = grammar
        self.full_graph = self._expand(self.grammar)
        self.full = prepare(self.full_graph)
        self._clamped: OrderedDict[Any, Prepared] = OrderedDict()
        self._rivals: OrderedDict[Any, Prepared] = OrderedDict()

    @property
    def rests(self) -> bool:
        """Whether frames can be heard where nothing is said: as silence, or as the blank."""
        return bool(self._silence) or self.topology == "ctc"

    def __deepcopy__(self, memo: dict[int, Any]) -> HMMGraphs:
        """Itself: a copy of a model (averaged weights) shares what never changes."""
        return self

    def restricted(self, grammar: Arpa | None, strings: Iterable[str] | None) -> HMMGraphs:
        """The same units under another grammar: an n-gram, or a list of all transcripts.

        Raises :class:`DataError` if none of ``strings`` can be written in the model's vocabulary.
        """
        other = copy.copy(self)
        other._use(self._grammar(grammar, strings))
        return other

    def split(self, text: str) -> list[str]:
        """The words, or characters, of a transcript."""
        return split(text, self.tokens)

    def labels(self, text: str) -> tuple[int, ...]:
        """Word labels of a transcript. Raises :class:`DataError` for an unknown word."""
        words = self.split(text)
        for word in words:
            if word not in self.words:
                if self.tokens == "characters":
                    raise DataError(
                        f"the character {word!r} of {text!r} is not among the {len(self.words)} "
                        "that the model knows; leave the transcript out, or train with it"
                    )
                self.lexicon.pronunciations(word)  # raises, with the nearest word
                raise DataError(f"the word {word!r} is not in the model's vocabulary")
        return tuple(self.words.id(word) for word in words)

    def text(self, labels: Sequence[int]) -> str:
        """The transcript of labels."""
        return join((self.words.name(label) for label in labels), self.tokens)

    def clamped(self, labels: Sequence[int]) -> Prepared:
        """The graph of one transcript: all its pronunciations and silences.

        Raises :class:`DataError` for one that the grammar does not allow.
        """
        labels = tuple(labels)
        return _remembered(self._clamped, labels, lambda: self._clamp(labels))

    def transcript(self, labels: Sequence[int]) -> Prepared:
        """The same without the grammar: to align a sentence that it does not allow, too."""
        return prepare(self._expand(linear(labels, weights=self.weights)))

    def rivals(self, labels: Sequence[int]) -> Prepared:
        """The graph of every sentence but this one."""
        labels = tuple(labels)
        return _remembered(
            self._rivals, labels, lambda: prepare(difference(self.full_graph, labels).graph)
        )

    def costly(
        self, labels: Sequence[int], scale: float, cap: int, rivals: bool = False
    ) -> Prepared:
        """Every sentence, its energy lessened by ``scale * min(cap, edit distance)`` to this one.

        With ``rivals``, every sentence but this one.
        """
        labels = tuple(labels)

        def make() -> Prepared:
            costs = edit_cost(labels, range(1, len(self.words) + 1), cap)
            if rivals:
                costs = _without_free(costs)
            gain = dataclasses.replace(costs, energy=-scale * costs.energy)
            return prepare(compose(self.full_graph, gain).graph)

        return _remembered(self._rivals, (labels, scale, cap, rivals), make)

    def _clamp(self, labels: tuple[int, ...]) -> Prepared:
        sentence = compose(self.grammar, linear(labels)).graph
        if not len(sentence.finals):
            raise DataError(
                f"the language model gives {self.text(labels)!r} no probability; use one with all "
                "its words"
            )
        return prepare(self._expand(sentence))

    def _words(self, lexicon: Lexicon) -> list[Graph]:
        """The graph of each word: one walk over all of them, where thousands would take minutes."""
        spelled = word_graphs(lexicon, self.units, self.weights)
        if self.topology == "bakis":
            unit = self._states
            models = {
                label: self._hmm(range((label - 1) * unit, label * unit), self.skip)
                for label in range(1, len(self.units) + 1)
            }
            spelled = remove_epsilon(replace(spelled, models, keep_output=False).graph).graph
        return separate(spelled)

    def _hmm(self, classes: range, skip: int) -> Graph:
        stay = [2 + 2 * c for c in classes]
        leave = [3 + 2 * c for c in classes]
        count = len(classes)
        return bakis(
            classes, skip, loop_weights=stay, next_weights=leave,
            skip_weights=np.repeat(np.array(leave)[:, None], skip, 1).reshape(count, skip),
            weights=self.weights,
        )  # fmt: skip

    def _grammar(self, arpa: Arpa | None, strings: Iterable[str] | None) -> Graph:
        """Acceptor of sentences; language model and word penalty are tied weights."""
        count = len(self.words)
        if strings is not None:
            if arpa is not None:
                raise ConfigError("give a language model or a list of strings, not both")
            graph = minimal_acceptor(self._known(strings), self.words)
        elif arpa is None:
            every = np.arange(1, count + 1)
            arcs = np.stack([0 * every, 0 * every, every, every], 1)
            graph = Graph.make(1, arcs, [0], [0], osymbols=self.words, isymbols=self.words)
        else:
            graph = ngram(arpa, self.words, words=list(self.words))
        worded = np.flatnonzero(graph.olabel != EPSILON)
        scored = np.flatnonzero(graph.energy)
        rows = np.concatenate([scored, worded])
        columns = np.repeat([LM_SCALE, WORD_PENALTY], [len(scored), len(worded)])
        counts = np.concatenate([graph.energy[scored], np.ones(len(worded))])
        ties = csr_array((counts, (rows, columns)), shape=(graph.entries, self.weights))
        return dataclasses.replace(graph, energy=np.zeros(graph.entries), ties=ties)

    def _known(self, strings: Iterable[str]) -> list[tuple[int, ...]]:
        """Labels of the strings that consist of known words; a warning counts the others."""
        known, unknown, strange = [], [], []
        for text in strings:
            words = self.split(text)
            if missing := [word for word in words if word not in self.words]:
                unknown.append(text)
                strange += missing
            else:
                known.append(tuple(self.words.id(word) for word in words))
        if not known:
            raise DataError(
                f"none of {len(unknown)} strings (such as {(unknown or [''])[0]!r}) can be written "
                f"with what the model knows: {' '.join(list(self.words)[:30])}."
                f"{alike(strange, self.words)}"
            )
        if unknown:
            logger.warning(
                "%d of %d strings are left out, as the model does not know all of their %s: %s.%s",
                len(unknown), len(unknown) + len(known), self.tokens, ", ".join(unknown[:5]),
                alike(strange, self.words),
            )  # fmt: skip
        return known

    def _expand(self, sentences: Graph) -> Graph:
        """Sentences of words -> a graph over emission classes that writes words."""
        if self._silence:
            sentences = _with_silence(sentences, self._silence)
        used = set(np.unique(sentences.olabel).tolist()) - {EPSILON}
        graph = replace(sentences, {label: self._models[label] for label in used}).graph
        if self.topology == "ctc":
            graph = compose(ctc(len(self.units)), graph).graph
        # Silence is no word: it writes nothing.
        heard = np.where(graph.olabel == self._silence, EPSILON, graph.olabel)
        return dataclasses.replace(graph, olabel=heard, isymbols=None, osymbols=self.words)


def _ctc_classes(names: Sequence[str]) -> Classes:
    """The blank, then a class a unit."""
    count = len(names)
    blank = np.zeros(count, bool)
    blank[0] = True
    return Classes(names, names, np.ones(count, bool), np.zeros(count, bool), blank)


def _state_classes(states_of: Sequence[tuple[str, int]]) -> Classes:
    """A class for each state of each unit: (unit, how many states)."""
    pairs = [(unit, k) for unit, count in states_of for k in range(count)]
    return Classes(
        [f"{unit}.{k}" for unit, k in pairs],
        [unit for unit, _ in pairs],
        np.array([k == 0 for _, k in pairs], bool),
        np.array([unit == SILENCE for unit, _ in pairs], bool),
        np.zeros(len(pairs), bool),
    )


def _with_silence(graph: Graph, label: int) -> Graph:
    """Allow one silence before the first word and after each word.

    Each state is split: words arrive at s and leave from s + S, with or without silence between;
    back-off arcs lead from s + S to their target's second half, so that a pause is never counted
    twice.
    """
    states = np.arange(graph.states)
    epsilon = (graph.ilabel == EPSILON) & (graph.olabel == EPSILON)
    src = np.concatenate([graph.src + graph.states, states, states])
    dst = np.concatenate(
        [np.where(epsilon, graph.dst + graph.states, graph.dst), *[states + graph.states] * 2]
    )
    pause = np.repeat([EPSILON, label], graph.states)
    ilabel = np.concatenate([graph.ilabel, pause])
    olabel = np.concatenate([graph.olabel, pause])
    arcs, added = graph.arcs, 2 * graph.states
    energy = np.insert(graph.energy, arcs, np.zeros(added))
    ties = graph.ties.tocoo()
    rows, columns = ties.coords
    ties = csr_array(
        (ties.data, (np.where(rows < arcs, rows, rows + added), columns)),
        shape=(graph.entries + added, graph.weights),
    )
    return Graph(
        2 * graph.states, src, dst, ilabel, olabel, graph.starts, graph.finals + graph.states,
        energy, ties, graph.isymbols, graph.osymbols,
    )  # fmt: skip


def _without_free(graph: Graph) -> Graph:
    """Leave out the final states of energy 0: in an edit automaton, that of the string itself."""
    ends = graph.energy[graph.arcs + len(graph.starts) :] != 0
    kept = np.concatenate([np.ones(graph.arcs + len(graph.starts), bool), ends])
    return dataclasses.replace(
        graph, finals=graph.finals[ends], energy=graph.energy[kept], ties=graph.ties[kept]
    )


def _remembered(
    cache: OrderedDict[Any, Prepared], key: Any, make: Callable[[], Prepared]
) -> Prepared:
    """The least recently used are forgotten: a large corpus must not fill the memory."""
    if key in cache:
        cache.move_to_end(key)
        return cache[key]
    cache[key] = make()
    if len(cache) > _CACHED:
        cache.popitem(last=False)
    return cache[key]
