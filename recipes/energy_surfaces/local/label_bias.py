"""Label bias: two words of one graph, which only their middle letters tell apart.

A locally normalised model gives each state probabilities of what may follow, whatever is read: the
state after "r" has one way out, which costs nothing though the letter says otherwise. So the first
letter decides alone. Bottou (1991); Lafferty, McCallum & Pereira (2001), section 5.1; the remedy
is late normalisation, Denker & Burges (1995): divide by the sum over whole paths, or not at all.

usage: label_bias.py OUT
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
import torch.nn.functional as nnf
from surfaces import make_loss
from torch import Tensor

from seqebm.graphs import Graph, Symbols, compose, draw, linear
from seqebm.hooks import Terms
from seqebm.inference.trellis import Prepared, Trellis, prepare, together

WORDS, LETTERS = ("rib", "rob"), "riob"
#: (from, to, letter, word); an arc is an emission class of its own.
ARCS = [
    (0, 1, "r", 1),
    (1, 2, "i", 0),
    (2, 5, "b", 0),
    (0, 3, "r", 2),
    (3, 4, "o", 0),
    (4, 5, "b", 0),
]
SYMBOLS = Symbols(f"{letter} ({a}-{b})" for a, b, letter, _ in ARCS)
ITEMS = 3000


def graph(energies: list[float] | None = None) -> Graph:
    """The two words from state 0 to state 5."""
    rows = [(a, b, k + 1, word) for k, (a, b, _, word) in enumerate(ARCS)]
    return Graph.make(6, rows, [0], [5], energies, isymbols=SYMBOLS, osymbols=Symbols(WORDS))


def read(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Letters ``(N, 3)`` and words ``(N,)``: two thirds are rib, one letter of 32 is misread."""
    torch.manual_seed(seed)
    word = (torch.rand(count) < 1 / 3).long()
    spelled = torch.tensor([[LETTERS.index(c) for c in w] for w in WORDS])[word]
    wrong = torch.rand(count, 3) < 1 / 32
    return torch.where(wrong, torch.randint(4, (count, 3)), spelled), word


def arc_energies(weights: Tensor, local: bool) -> Tensor:
    """``(letters, arcs)`` energies of each arc where a letter is read."""
    if not local:
        return weights
    normal = torch.zeros_like(weights)
    for state in {a for a, *_ in ARCS}:
        leaving = [k for k, arc in enumerate(ARCS) if arc[0] == state]
        normal[:, leaving] = -nnf.log_softmax(-weights[:, leaving], 1)
    return normal


def train(local: bool) -> tuple[Tensor, float]:
    """Energies of the arcs after training, and the error on test words."""
    seen, counts = torch.unique(torch.column_stack(read(ITEMS, 0)), dim=0, return_counts=True)
    letters, word = seen[:, :3], seen[:, 3]
    topology, loss = prepare(graph()), make_loss("energy" if local else "nll")
    right = [prepare(compose(graph(), linear([k + 1])).graph) for k in range(len(WORDS))]
    clamped = together([right[w] for w in word.tolist()])
    weights = torch.zeros(len(LETTERS), len(ARCS), requires_grad=True)
    optimizer = torch.optim.Adam([weights], 0.05)

    def trellis(graphs: Prepared, letters: Tensor) -> Trellis:
        lengths = torch.full((len(letters),), 3)
        return Trellis(graphs, arc_energies(weights, local)[letters], lengths, torch.zeros(0))

    for _ in range(300):
        correct, all_ = (trellis(g, letters).free_energy(1.0) for g in (clamped, topology))
        values = loss(Terms(correct, all_, torch.full_like(correct, torch.nan), 1.0))
        value = values @ counts.float() / ITEMS + 1e-4 * weights.square().sum()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    letters, word = read(ITEMS, 1)
    with torch.no_grad():
        found = trellis(topology, letters).best()
        wrong = sum(f[0].value != (int(w) + 1,) for f, w in zip(found, word, strict=True))
        return arc_energies(weights, local).detach(), wrong / len(word)


def main() -> None:
    """Train both models, print errors, draw both graphs as they read "rob"."""
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    figure, axes = plt.subplots(2, 1, figsize=(8, 6), layout="constrained")
    letters, word = read(ITEMS, 1)
    print("| model | test error | E(rib), E(rob) of the letters r o b |")
    print("|---|---|---|")
    for axis, local in zip(axes, (True, False), strict=True):
        energies, error = train(local)
        seen = [float(energies[LETTERS.index(c), k]) for k, c in enumerate("robrob")]
        name = "locally normalised" if local else "not normalised"
        rib, rob = sum(seen[:3]), sum(seen[3:])
        print(f"| {name} | {error:.1%} | {rib:.2f}, {rob:.2f} |")
        # Starts and finals have energies of their own, after those of the arcs.
        draw.plot(graph([*seen, 0.0, 0.0]), axis)
        chosen = WORDS[rib > rob]
        axis.set_title(f'{name}: energies of the arcs as "r o b" is read; the answer is {chosen}')
    always = float((word == 1).float().mean())
    middle = (letters[:, 1] == LETTERS.index("o")).long()
    alone = float((middle != word).float().mean())
    print(f"\nAlways saying rib: {always:.1%}. Reading only whether the middle is o: {alone:.1%}.")
    figure.savefig(out / "label_bias.png", dpi=90)


if __name__ == "__main__":
    main()
