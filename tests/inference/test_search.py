"""Strings of words: the answer, times, confidence and alternatives, against enumeration."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from asking import clamped

from seqebm.decoding.results import Transcription, result_of
from seqebm.errors import ConfigError, InfeasibleError, SeqebmError
from seqebm.graphs import enumerate_paths, posteriors
from seqebm.hooks import TextFile
from seqebm.inference.confidence import words_of_states
from seqebm.inference.search import BeamSearch, Exact, Search
from seqebm.inference.segments import segments
from seqebm.inference.unrolled import UnrolledGraph
from seqebm.lattices.chain import Chain
from seqebm.lattices.hmm import HMM
from seqebm.models import Recognizer
from seqebm.models.config import parse_config

SHIFT = 0.02
LM = TextFile(
    name="toy.arpa",
    text="""
\\data\\
ngram 1=5
ngram 2=4

\\1-grams:
-0.7 </s>
-99 <s> -0.3
-0.5 a -0.2
-0.6 ab -0.1
-0.9 b

\\2-grams:
-0.2 <s> ab
-0.4 a a
-0.3 ab </s>
-0.9 a b

\\end\\
""",
)

ONE = TextFile(  # a grammar of one sentence
    name="one.arpa",
    text="\\data\\\nngram 1=3\nngram 2=1\n\n\\1-grams:\n-99 <s>\n-0.3 abc\n-99 </s>\n"
    "\\2-grams:\n-0.1 abc </s>\n\\end\\\n",
)


def make(beta=1.0, seed=0, words=("a", "b"), features=3, **options):
    """A model of random weights, without front-end or network."""
    torch.manual_seed(seed)
    lattice = HMM(HMM.Options(**options), features, words).double().eval()
    with torch.no_grad():
        lattice.transitions.normal_()
    return Model(lattice, beta)


class Model:
    """A lattice with a way to search, without front-end and network."""

    frame_shift = SHIFT

    def __init__(self, lattice, beta, **inference):
        sections = {name: {"name": name} for name in ("frontend", "features", "lattice", "loss")}
        self.lattice, self.beta = lattice, beta
        self.config = parse_config({**sections, "inference": {"beta": beta, **inference}})
        self.inference = Exact(Search(beta=beta, **inference))

    searching = Recognizer.searching


def batch(*lengths, features=3, scale=2.0, seed=1):
    rng = np.random.default_rng(seed)
    data = torch.from_numpy(rng.normal(size=(len(lengths), max(lengths), features)) * scale)
    return data, torch.tensor(lengths)


def decode(model, data, **options):
    names = [f"utt{b}" for b in range(len(data[0]))]
    inference = model.searching(options)
    with torch.no_grad():
        lattice = model.lattice.under(**inference.options.grammar)
        found = inference.search(lattice.meet(*data), names, SHIFT)
    return [
        one if isinstance(one, SeqebmError) else result_of(model, name, one, int(frames))
        for name, one, frames in zip(names, found, data[1], strict=True)
    ]


def sentences(words, most):
    return [" ".join(s) for n in range(most + 1) for s in itertools.product(words, repeat=n)]


CASES = [
    {"states": 2, "silence_states": 1},
    {"states": 1, "silence_states": 2, "transitions": "fixed"},
    {
        "lexicon": "letters", "topology": "ctc", "states": 1, "silence_states": 0,
        "words": ("a", "ab"),
    },
    {
        "lexicon": "letters", "states": 1, "words": ("a", "ab", "b"), "lm": LM, "lm_scale": 0.7,
        "word_penalty": -0.4, "silence_states": 1,
    },
]  # fmt: skip


@pytest.mark.parametrize("options", CASES)
@pytest.mark.parametrize("beta", [1.0, 0.4])
def test_against_all_sentences(options, beta):
    model = make(beta, **options)
    lattice = model.lattice
    frames = 4 if "lm" in options else 5
    data = batch(frames, 3)
    answers = decode(model, data, nbest=1000, lattice_beam=math.inf)
    every = sentences(list(lattice.graphs.words), frames // lattice.options.states)
    with torch.no_grad():
        free = lattice.meet(*data).free_energy(beta)
        for b, answer in enumerate(answers):
            one = data[0][b : b + 1, : data[1][b]], data[1][b : b + 1]
            least, own = {}, {}
            for text in every:
                try:
                    right = clamped(lattice, *one, [text])
                except SeqebmError:  # the grammar has no such sentence
                    continue
                least[text] = float(right.free_energy(math.inf)[0])
                own[text] = float(right.free_energy(beta)[0])
            least = {t: e for t, e in least.items() if e < math.inf}
            order = sorted(least, key=least.__getitem__)
            assert answer.text == order[0]
            assert answer.energy == pytest.approx(least[order[0]], abs=1e-6)
            assert {a.text for a in answer.alternatives} == set(order)
            for other, text in zip(answer.alternatives, order, strict=True):
                assert other.energy == pytest.approx(least[text], abs=1e-6)
                assert other.energy == pytest.approx(least[other.text], abs=1e-6)
            share = math.exp(-beta * (own[answer.text] - float(free[b])))
            assert answer.confidence == pytest.approx(share, abs=1e-6)


@pytest.mark.parametrize("options", CASES)
def test_confidence_of_words(options):
    model = make(0.7, seed=3, **options)
    classes = model.lattice.graphs.inventory
    data = batch(4, seed=5, scale=1.0)
    (answer,) = decode(model, data, lattice_beam=math.inf, lattice=True)
    graph = answer.lattice.graph
    paths = [p for p in enumerate_paths(graph, 40) if p.energy < math.inf]
    weights = np.exp(-0.7 * np.array([p.energy for p in paths]))
    weights /= weights.sum()
    for word in answer.words:
        middle = (word.first + word.stop - 1) // 2
        total = 0.0
        for path, weight in zip(paths, weights, strict=True):
            now, frame = None, 0
            for arc in path.entries[1:-1]:
                if graph.olabel[arc]:
                    now = graph.osymbols.name(graph.olabel[arc])
                if graph.ilabel[arc]:
                    pause = classes.pause[graph.ilabel[arc] - 1]
                    total += weight * (frame == middle and now == word.label and not pause)
                    frame += 1
        if options.get("topology") == "ctc":  # blanks after a word may or may not count as its
            assert word.confidence <= total + 1e-9
        else:
            assert word.confidence == pytest.approx(total, abs=1e-9)
        assert 0 < word.confidence <= 1


def test_times_and_text_belong_together():
    model = make(states=2, silence_states=1)
    for answer in decode(model, batch(14, 9, 12, 7)):
        assert answer.text == " ".join(w.label for w in answer.words)
        stops = [0, *(w.stop for w in answer.words)]
        for word, before in zip(answer.words, stops, strict=False):
            assert before <= word.first and word.stop - word.first >= 2
        assert stops[-1] <= answer.frames
        row = answer.as_dict()
        assert row["duration"] == pytest.approx(answer.frames * SHIFT)
        for word, values in zip(answer.words, row["words"], strict=True):
            assert values["start"] == pytest.approx(word.first * SHIFT)
            assert values["end"] == pytest.approx(word.stop * SHIFT)
            assert set(values) == {"label", "start", "end", "frames", "confidence"}


def test_neither_companions_nor_padding_change_an_answer():
    model = make(states=2)
    features, lengths = batch(14, 9, 12)
    together = decode(model, (features, lengths), nbest=3)
    features[1, 9:] = 1e6
    for b in range(3):
        (alone,) = decode(model, (features[b : b + 1, : lengths[b]], lengths[b : b + 1]), nbest=3)
        assert alone.text == together[b].text and alone.words == together[b].words
        assert alone.energy == pytest.approx(together[b].energy)
        assert [a.text for a in alone.alternatives] == [a.text for a in together[b].alternatives]


def test_scale_and_penalty_are_for_one_decode():
    model = make(lexicon="letters", states=1, words=("a", "ab", "b"), lm=LM)
    data = batch(9)
    (plain,) = decode(model, data)
    (few,) = decode(model, data, word_penalty=50.0, lm_scale=0.0)
    (many,) = decode(model, data, word_penalty=-50.0)
    assert len(few.words) <= 1 and len(many.words) == 9
    assert (model.lattice.lm_scale, model.lattice.word_penalty) == (1.0, 0.0)
    assert decode(model, data)[0] == plain


def test_too_short():
    model = make(states=3, silence_states=2)
    results = decode(model, batch(1, 6))
    assert isinstance(results[0], InfeasibleError) and isinstance(results[1], Transcription)
    assert "utt0: no path" in str(results[0]) and "longer recording" in str(results[0])
    model = make(lexicon="letters", states=2, words=("abc",), lm=ONE, silence_states=1)
    results = decode(model, batch(4, 6))
    assert isinstance(results[0], InfeasibleError) and results[1].text == "abc"
    assert "utt0: too short: 4 feature frames, but 6 (about 0.12 s) are needed" in str(results[0])


def test_an_emptied_beam_says_where_and_what_to_do(caplog):
    model = make(states=3, silence_states=0, words=("a", "b"))
    data = batch(8, 7, scale=8.0, seed=0)
    exact = decode(model, data)
    for seed in range(50):  # find features on which a beam can fail
        data = batch(8, 7, scale=8.0, seed=seed)
        exact, narrow = decode(model, data), decode(model, data, beam=1e-3)
        failed = [b for b in range(2) if isinstance(narrow[b], SeqebmError)]
        if failed:
            break
    else:
        pytest.fail("no beam failed")
    for b in failed:
        message = str(narrow[b])
        assert message.startswith(f"utt{b}: the beam of 0.001") and "--beam" in message
        assert "0.002" in message and "--widen" in message
    with caplog.at_level("INFO", logger="seqebm"):
        wide = decode(model, data, beam=1e-3, widen=True)
    for b in failed:
        assert f"utt{b}: widened from a beam of 0.001 to a beam of {wide[b].beam:g}" in caplog.text
        assert wide[b].beam > 1e-3 and wide[b].energy >= exact[b].energy - 1e-6
    generous = decode(model, data, beam=1e4)
    assert [g.text for g in generous] == [e.text for e in exact]
    assert [g.energy for g in generous] == pytest.approx([e.energy for e in exact])


def test_a_lattice_mends_what_a_beam_lost():
    model = make(states=2)
    for seed in range(100):
        data = batch(10, seed=seed, scale=4.0)
        (exact,), (narrow,) = decode(model, data), decode(model, data, beam=3.0, widen=True)
        assert narrow.confidence is None and exact.confidence is not None
        if narrow.energy > exact.energy + 1e-6:
            (mended,) = decode(model, data, beam=3.0, widen=True, nbest=2)
            assert mended.energy == pytest.approx(exact.energy) and mended.beam is None
            assert (mended.text, mended.words) == (
                exact.text, tuple(w._replace(confidence=None) for w in exact.words),
            )  # fmt: skip
            assert mended.alternatives[0].text == exact.text
            return
    pytest.fail("the beam never lost the best path")


def test_too_few_active_states(caplog):
    model = make(states=3, silence_states=0)
    for seed in range(100):
        data = batch(9, 11, scale=6.0, seed=seed)
        few = decode(model, data, max_active=3)
        failed = [b for b in range(2) if isinstance(few[b], SeqebmError)]
        if len(failed) == 1:
            break
    else:
        pytest.fail("three active states were always enough, or never")
    message = str(few[failed[0]])
    assert message.startswith(f"utt{failed[0]}: no path survives frame")
    assert "--max-active (say, to 6)" in message and "--widen" in message
    with caplog.at_level("INFO", logger="seqebm"):
        wide = decode(model, data, max_active=3, widen=True)
    assert all(isinstance(a, Transcription) for a in wide)
    assert f"utt{failed[0]}: widened from 3 to 6 active states" in caplog.text


def test_a_model_without_numbers():
    model = make(states=1)
    with torch.no_grad():
        model.lattice.linear.weight.fill_(math.nan)
    with pytest.raises(ValueError, match="nan"):
        decode(model, batch(4))


@pytest.mark.parametrize(
    "options", [{"beam": 0.0}, {"beam": math.nan}, {"nbest": -1}, {"lattice_beam": -1.0},
                {"batch_size": 0}, {"max_active": 0}],
)  # fmt: skip
def test_searches_that_make_no_sense(options):
    with pytest.raises(ConfigError, match=f"inference.{next(iter(options))}"):
        make().searching(options)


def test_a_beam_has_options_of_its_own():
    assert BeamSearch(beam=3.0).beam_width == 3.0 and Search().beam_width is None
    assert Search().confident and not BeamSearch().confident and BeamSearch(nbest=2).lattices


def test_units_and_states_follow_the_path():
    """A word of two equal units of one state: the second begins with a step, not a loop."""
    lexicon = TextFile(name="lexicon", text="x A A\ny A B\n")
    model = make(lexicon=lexicon, states=1, silence_states=1, transitions="fixed")
    lattice = model.lattice
    data = batch(9)
    with torch.no_grad():
        trellis = clamped(lattice, *data, ["x y"])
        energies, (path,) = trellis.best_path()
        parts = segments(trellis.graph(0), path, lattice.graphs.inventory)
        assert [w.label for w in parts.words] == ["x", "y"]
        assert [u.label for u in parts.units if u.label != "<sil>"] == ["A", "A", "A", "B"]
        for row in (parts.units, parts.states):
            assert [s.first for s in row] == [0, *(s.stop for s in row[:-1])]
            assert row[-1].stop == 9
        emissions = lattice.emissions(data[0])[0]
        names = lattice.graphs.classes
        total = sum(emissions[s.first : s.stop, names.index(s.label)].sum() for s in parts.states)
        moves = float(energies[0]) - float(total)
    with torch.no_grad():
        lattice.transitions.zero_()
        energies, (path,) = clamped(lattice, *data, ["x y"]).best_path()
        parts = segments(trellis.graph(0), path, lattice.graphs.inventory)
        total = sum(emissions[s.first : s.stop, names.index(s.label)].sum() for s in parts.states)
    assert float(energies[0]) == pytest.approx(float(total)) and moves != 0


def test_words_of_states():
    model = make(lexicon="letters", states=2, words=("a", "ab"), silence_states=1)
    graph = model.lattice.graphs.full_graph
    word = words_of_states(graph)
    reads = graph.ilabel > 0
    names = [model.lattice.graphs.classes[c - 1] for c in graph.ilabel[reads]]
    for state, name in zip(graph.dst[reads], names, strict=True):
        if name.startswith("b"):
            assert graph.osymbols.name(word[state]) == "ab"
    assert set(word) == {0, 1, 2}


def test_a_narrow_lattice_holds_the_best_path_and_less():
    model = make(states=2)
    data = batch(12)
    (wide,) = decode(model, data, lattice=True, lattice_beam=50.0)
    (narrow,) = decode(model, data, lattice=True, lattice_beam=1e-6)
    assert isinstance(narrow.lattice, UnrolledGraph)
    assert narrow.lattice.graph.arcs < wide.lattice.graph.arcs
    assert narrow.text == wide.text and narrow.confidence == pytest.approx(1)
    shares = posteriors(wide.lattice.graph, 1.0)[: wide.lattice.graph.arcs]
    frame = wide.lattice.frame[wide.lattice.graph.src]
    reads = wide.lattice.graph.ilabel > 0
    for t in range(12):
        assert shares[reads & (frame == t)].sum() == pytest.approx(1)
    assert wide.lattice.graph.starts.size and wide.lattice.graph.finals.size


def chain(beta=1.0):
    torch.manual_seed(0)
    lattice = Chain(Chain.Options(), 3, ("x", "y")).double().eval()
    with torch.no_grad():
        for parameter in lattice.parameters():
            parameter.normal_()
    return Model(lattice, beta)


def test_chain_against_all_labellings():
    model = chain(0.8)
    data = batch(4)
    (answer,) = decode(model, data, nbest=5)
    texts = [" ".join(s) for s in itertools.product("xy", repeat=4)]
    with torch.no_grad():
        energies = {t: float(clamped(model.lattice, *data, [t]).free_energy(1.0)[0]) for t in texts}
    order = sorted(energies, key=energies.__getitem__)
    assert answer.text == order[0] and [a.text for a in answer.alternatives] == order[:5]
    weights = {t: math.exp(-0.8 * e) for t, e in energies.items()}
    total = sum(weights.values())
    assert answer.confidence == pytest.approx(weights[order[0]] / total)
    for t, word in enumerate(answer.words):
        same = sum(w for text, w in weights.items() if text.split()[t] == word.label)
        assert word.confidence == pytest.approx(same / total)
        assert (word.first, word.stop) == (t, t + 1)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"beam": 1.0}, "--beam"),
        ({"lattice": True}, "--lattice"),
        ({"lm_scale": 1.0}, "--lm-scale"),
    ],
)
def test_what_a_chain_does_not_do(options, what):
    with pytest.raises(ConfigError, match=what):
        decode(chain(), batch(4), **options)
