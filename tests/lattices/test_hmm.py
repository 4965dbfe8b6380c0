"""The hierarchical HMM against an oracle that knows no graph: sentences, pronunciations, pauses
and durations, listed one by one."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from asking import clamped, terms_of

from seqebm.errors import DataError
from seqebm.hooks import Request, TextFile
from seqebm.inference.free_energy import free_energy
from seqebm.lattices.hmm import HMM
from seqebm.losses import functionals

LEXICON = {"a": [("x",), ("y", "x")], "b": [("y",)]}
TEXT = TextFile(name="lexicon", text="a x\na(2) y x\nb y\n")
ARPA = """\\data\\
ngram 1=4
ngram 2=2

\\1-grams:
-0.4 a -0.2
-0.7 b -0.1
-99 <s> -0.3
-0.5 </s>

\\2-grams:
-0.2 a b
-0.1 b </s>

\\end\\
"""


def model(seed: int = 0, dim: int = 3, **options) -> HMM:
    torch.manual_seed(seed)
    settings = {"lexicon": TEXT, "states": 1, "silence_states": 1, **options}
    lattice = HMM(HMM.Options(**settings), dim, ("a", "b")).double().eval()
    torch.nn.init.normal_(lattice.transitions)
    return lattice


def language(sentence: tuple[str, ...]) -> list[float]:
    """Energies of all ways through ARPA: with the bigram, and by backing off."""
    uni = {"a": 0.4, "b": 0.7, "</s>": 0.5}
    back = {"<s>": 0.3, "a": 0.2, "b": 0.1}
    bi = {("a", "b"): 0.2, ("b", "</s>"): 0.1}
    pairs = itertools.pairwise(("<s>", *sentence, "</s>"))
    ways = [[bi[p]] * (p in bi) + [back[p[0]] + uni[p[1]]] if p in bi else [back[p[0]] + uni[p[1]]]
            for p in pairs]  # fmt: skip
    return [math.log(10) * sum(way) for way in itertools.product(*ways)]


def oracle(lattice: HMM, emissions: torch.Tensor, sentence: tuple[str, ...]) -> list[float]:
    """Energies of all paths of one sentence through ``(T, C)`` emission energies."""
    o, frames = lattice.options, len(emissions)
    weights, classes = lattice.weights().tolist(), lattice.graphs.classes
    index = {name: c for c, name in enumerate(classes)}
    pause = [[], [f"<sil>.{k}" for k in range(o.silence_states)]] if o.silence_states else [[]]
    grammar = language(sentence) if o.lm else [0.0]
    energies = []
    spellings = itertools.product(*(LEXICON[w] for w in sentence))
    for prons, pauses in itertools.product(
        list(spellings), itertools.product(pause, repeat=len(sentence) + 1)
    ):
        names = list(pauses[0])
        for pron, after in zip(prons, pauses[1:], strict=True):
            names += [f"{unit}.{k}" for unit in pron for k in range(o.states)] + after
        chain = [index[name] for name in names]
        for cuts in itertools.combinations(range(1, frames), len(chain) - 1) if chain else ():
            edges = (0, *cuts, frames)
            energy = o.word_penalty * len(sentence)
            for c, start, stop in zip(chain, edges[:-1], edges[1:], strict=True):
                energy += float(emissions[start:stop, c].sum())
                energy += weights[2 + 2 * c] * (stop - start - 1) + weights[3 + 2 * c]
            energies += [energy + o.lm_scale * g for g in grammar]
    return energies


def soften(energies: list[float], beta: float) -> float:
    values = torch.tensor(energies, dtype=torch.float64)
    return float(free_energy(values, beta)) if energies else math.inf


SETTINGS = [
    {},
    {"states": 2, "silence_states": 0, "word_penalty": 0.3},
    {"lm": TextFile(name="lm", text=ARPA), "lm_scale": 0.7, "silence_states": 2},
    {"normalisation": "local"},
]


@pytest.mark.parametrize("options", SETTINGS)
@pytest.mark.parametrize("beta", [0.4, 1.0, math.inf])
def test_terms_equal_the_oracle(options, beta):
    lattice = model(**options)
    features = torch.randn(3, 5, 3, dtype=torch.float64)
    lengths = torch.tensor([5, 4, 3])
    targets = ["a", "a b", "b"]
    terms = terms_of(lattice, features, lengths, targets, beta)
    emissions = lattice.emissions(features).detach()
    for b, target in enumerate(targets):
        own = emissions[b, : lengths[b]]
        sentences = {
            words: oracle(lattice, own, words)
            for n in range(6)
            for words in itertools.product("ab", repeat=n)
        }
        every = [e for energies in sentences.values() for e in energies]
        rivals = [es for s, es in sentences.items() if s != tuple(target.split()) and es]
        # "a" as y x and "b a" as y x have the same paths: a tie, and either may be taken.
        least = min(map(min, rivals))
        ties = [soften(es, beta) for es in rivals if min(es) < least + 1e-9]
        found = [float(number[b].detach()) for number in terms[:3]]
        right = sentences[tuple(target.split())]
        offending = min(ties, key=lambda energy: abs(energy - found[2]))
        expected = [soften(right, beta), soften(every, beta), offending]
        assert found == pytest.approx(expected, abs=1e-9), (b, found, expected)


def test_every_loss_trains():
    features, lengths = torch.randn(2, 6, 3, dtype=torch.float64), torch.tensor([6, 5])
    for name in ("Energy", "Perceptron", "Hinge", "Log", "MCE", "NLL", "MEE",
                 "SquareSquare", "SquareExponential"):  # fmt: skip
        lattice = model(seed=3)
        loss = getattr(functionals, name)()
        request = loss.request
        terms = terms_of(lattice, features, lengths, ["b b", "a b"], 1.0, request)
        loss(terms).sum().backward()
        assert torch.isfinite(lattice.linear.weight.grad).all(), name
        assert bool(lattice.linear.weight.grad.abs().sum() > 0) or name == "Perceptron"


def test_ctc_is_the_energy_loss_of_local_normalisation():
    lattice = model(topology="ctc", normalisation="local", lexicon="words")
    features, lengths = torch.randn(3, 7, 3, dtype=torch.float64), torch.tensor([7, 5, 3])
    targets = ["a b b", "b a", "b"]
    found = terms_of(lattice, features, lengths, targets, 1.0).correct
    expected = torch.nn.functional.ctc_loss(
        -lattice.emissions(features).transpose(0, 1),
        torch.tensor([1, 2, 2, 2, 1, 2]), lengths, torch.tensor([3, 2, 1]), reduction="none",
    )  # fmt: skip
    torch.testing.assert_close(found, expected)


def test_minimum_frames_and_unknown_words():
    lattice = model(states=3, silence_states=2)
    assert lattice.minimum_frames("a b a") == 9
    with pytest.raises(DataError, match="'c'"):
        lattice.minimum_frames("a c")


def test_too_few_frames_are_infeasible_without_gradient():
    lattice = model(states=3)
    features = torch.randn(1, 5, 3, dtype=torch.float64, requires_grad=True)
    correct = terms_of(lattice, features, torch.tensor([5]), ["b b"], 1.0, Request(False, False))[0]
    assert correct.isinf().all()


@pytest.mark.parametrize("beta", [1.0, math.inf])
@pytest.mark.parametrize("cost", ["hamming", "edit"])
def test_margin_rescaling(cost, beta):
    """min over Y != Yi of E(Y) - cost(Y, Yi), by listing sentences."""
    lattice = model(seed=5)
    features, lengths = torch.randn(2, 5, 3, dtype=torch.float64), torch.tensor([5, 4])
    targets = ["a b", "b b a"]
    request = Request(False, True, cost, 0.8, 2)
    found = terms_of(lattice, features, lengths, targets, beta, request).offending
    emissions = lattice.emissions(features).detach()
    for b, target in enumerate(targets):
        wanted = tuple(target.split())
        own = emissions[b, : lengths[b]]
        best, ties = math.inf, []
        for n in range(6):
            for words in itertools.product("ab", repeat=n):
                if words == wanted:
                    continue
                cut = 0.0
                if cost == "edit":
                    energies = oracle(lattice, own, words)
                    cut = 0.8 * min(2, distance(words, wanted))
                else:
                    # The frames of the best path of the right answer are the reference.
                    aligned = alignment(lattice, features[b : b + 1], lengths[b : b + 1], target)
                    changed = own - 0.8
                    changed[torch.arange(len(own)), aligned] += 0.8
                    energies = oracle(lattice, changed, words)
                if energies and min(energies) - cut < best - 1e-9:
                    best, ties = min(energies) - cut, []
                if energies and min(energies) - cut < best + 1e-9:
                    ties.append(soften(energies, beta) - cut)
        assert min(abs(float(found[b].detach()) - tie) for tie in ties) < 1e-9


@pytest.mark.parametrize("beta", [0.7, math.inf])
@pytest.mark.parametrize("cost", ["hamming", "edit"])
def test_softmax_margin_and_minimum_bayes_risk(cost, beta):
    """Every sentence with all its paths, listed; wrong frames by the posteriors of the classes."""
    lattice = model(seed=5)
    features, lengths = torch.randn(2, 5, 3, dtype=torch.float64), torch.tensor([5, 4])
    targets = ["a b", "b b a"]
    request = Request(True, False, cost, 0.8, 2, risk=True)
    found = terms_of(lattice, features, lengths, targets, beta, request)
    plain = terms_of(lattice, features, lengths, targets, beta, request._replace(scale=0.0))
    assert torch.equal(found.risk, plain.risk)
    emissions = lattice.emissions(features).detach()
    posteriors = lattice.meet(features, lengths).posteriors(beta)[1]
    for b, target in enumerate(targets):
        own = emissions[b, : lengths[b]]
        aligned = alignment(lattice, features[b : b + 1], lengths[b : b + 1], target)
        changed = own - 0.8
        changed[torch.arange(len(own)), aligned] += 0.8
        pairs = []
        boosted = []
        for n in range(6):
            for words in itertools.product("ab", repeat=n):
                cut = min(2, distance(words, tuple(target.split())))
                pairs += [(e, cut) for e in oracle(lattice, own, words)]
                boosted += oracle(lattice, changed, words)
        energies, costs = torch.tensor(pairs, dtype=torch.float64).T
        if cost == "edit":
            boosted = (energies - 0.8 * costs).tolist()
            if beta < math.inf:
                risk = torch.softmax(-beta * energies, 0) @ costs
            else:  # "b a" and "a", said y x, are the same states: of a tie, the mean of the ends
                tied = costs[energies < energies.min() + 1e-9]
                risk = (tied.min() + tied.max()) / 2
        else:
            risk = len(own) - posteriors[b, torch.arange(len(own)), aligned].sum()
        assert found.contrastive[b].item() == pytest.approx(soften(boosted, beta), abs=1e-9)
        assert found.risk[b].item() == pytest.approx(risk.item(), abs=1e-6)


@pytest.mark.parametrize("cost", ["hamming", "edit"])
def test_gradient_of_the_risk(cost):
    lattice = model(seed=6)
    lengths, targets = torch.tensor([5, 4]), ["a b", "b b a"]
    request = Request(False, False, cost, 0.0, 2, risk=True)

    def risk(features):
        return terms_of(lattice, features, lengths, targets, 1.0, request).risk

    features = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(risk, features, eps=1e-4, atol=1e-5, rtol=1e-4)


def alignment(lattice: HMM, features: torch.Tensor, lengths: torch.Tensor, target: str):
    """The classes of an item's frames on the best path of its right answer."""
    trellis = clamped(lattice, features, lengths, [target])
    return trellis.labels(0, trellis.best_path()[1][0])


def distance(one: tuple[str, ...], two: tuple[str, ...]) -> int:
    from rapidfuzz.distance import Levenshtein

    return Levenshtein.distance(one, two)
