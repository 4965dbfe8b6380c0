"""Inference: a factor graph as a trellis, and minimising against marginalising over Z at every β.

usage: inference.py OUT
"""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch

from seqebm.graphs import FactorGraph, draw, shortest_path, total_energy
from seqebm.inference.free_energy import free_energy
from seqebm.lattices.hmm import HMM

BETAS = [0.1, 0.3, 1.0, 3.0, 10.0, 30.0, math.inf]


def tutorial(rng: np.random.Generator) -> FactorGraph:
    """Three binary variables and a ternary one in a line: LeCun et al. (2006), figure 22."""
    return FactorGraph.make(
        {"Z1": 2, "Z2": 2, "Y1": 2, "Y2": 3},
        [(("Z1",), rng.normal(size=2)), (("Z1", "Z2"), rng.normal(size=(2, 2))),
         (("Z2", "Y1"), rng.normal(size=(2, 2))), (("Y1", "Y2"), rng.normal(size=(2, 3)))],
    )  # fmt: skip


def tree(rng: np.random.Generator, count: int) -> FactorGraph:
    """A random tree of ternary variables."""
    names = [f"V{k}" for k in range(count)]
    pairs = [((names[rng.integers(max(0, k - 3), k)], names[k]), rng.normal(size=(3, 3)))
             for k in range(1, count)]  # fmt: skip
    return FactorGraph.make(dict.fromkeys(names, 3), pairs)


def loop(rng: np.random.Generator, count: int) -> FactorGraph:
    """A cycle: its treewidth is 2."""
    names = [f"V{k}" for k in range(count)]
    pairs = [((names[k - 1], names[k]), rng.normal(size=(3, 3))) for k in range(count)]
    return FactorGraph.make(dict.fromkeys(names, 3), pairs)


def factor_graphs(out: Path) -> None:
    """Enumeration against the trellis: evaluations, time, and whether they agree."""
    print("| factor graph | assignments | evaluations: all assignments | in the trellis | "
          "arcs | largest difference of min, of F at β 1 | ms: all | ms: trellis |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    rng = np.random.default_rng(0)
    total_energy(tutorial(rng).trellis(), beta=1.0)  # the kernels are loaded
    graphs = {
        "the tutorial's": tutorial(rng), "tree of 9": tree(rng, 9), "loop of 9": loop(rng, 9)
    }  # fmt: skip
    for name, graph in graphs.items():
        started = time.perf_counter()
        energies = torch.tensor([graph.energy(a) for a in graph.assignments()], dtype=torch.float64)
        middle = time.perf_counter()
        trellis = graph.trellis()
        best = shortest_path(trellis)
        assert best is not None
        totals = best.energy, float(total_energy(trellis, beta=1.0))
        ended = time.perf_counter()
        truth = float(energies.min()), float(free_energy(energies, 1.0))
        apart = max(abs(a - b) for a, b in zip(totals, truth, strict=True))
        assert graph.energy(graph.read(trellis, best.outputs)) - truth[0] < 1e-9
        print(f"| {name} | {len(energies)} | {graph.enumeration_cost()} | {graph.trellis_cost()} | "
              f"{trellis.arcs} | {apart:.1e} | {1e3 * (middle - started):.1f} | "
              f"{1e3 * (ended - middle):.1f} |")  # fmt: skip
    figure, axes = plt.subplots(figsize=(9, 4), layout="constrained")
    graph = graphs["the tutorial's"]
    draw.plot(graph.trellis(["Z1", "Z2", "Y1", "Y2"]), axes)
    axes.set_title("16 arcs instead of 96 evaluations: a path is an assignment of Z1, Z2, Y1, Y2")
    figure.savefig(out / "trellis.png", dpi=90)
    plt.close(figure)


def temperatures(out: Path) -> None:
    """One HMM, three answers: F_β of each from almost uniform averages over Z to the minimum."""
    torch.manual_seed(17)  # drawn such that the best path and all paths prefer other answers
    words = ("a", "b", "c")
    hmm = HMM(HMM.Options(states=2, silence_states=0), 4, words).double().eval()
    with torch.no_grad():
        hmm.linear.weight.copy_(0.6 * torch.randn_like(hmm.linear.weight))
        hmm.linear.bias.zero_()
    features, lengths = torch.randn(1, 12, 4, dtype=torch.float64), torch.tensor([12])
    answers = ["a", "b", "c", "a b", "b c", "a c", "c a", "b a", "c b"]
    rows = []
    print("\n| β | " + " | ".join(f"F(`{a}`)" for a in answers) + " | answer: minimum over Z | "
          "marginal over Z |\n|---|" + "---|" * (len(answers) + 2))  # fmt: skip
    with torch.no_grad():
        full = hmm.meet(features, lengths)
        clamped = {a: full.clamped([hmm.parse(a)]) for a in answers}
        viterbi = {a: float(t.best_path()[0]) for a, t in clamped.items()}
        for beta in BETAS:
            found = {a: float(t.free_energy(beta)) for a, t in clamped.items()}
            rows.append(list(found.values()))
            least = [min(table, key=table.__getitem__) for table in (viterbi, found)]
            print(f"| {'∞' if math.isinf(beta) else beta} | "
                  + " | ".join(f"{value:.2f}" for value in found.values())
                  + f" | `{least[0]}` | `{least[1]}` |")  # fmt: skip
        # The path of least energy is the most probable (Y, Z): P = exp(-β E) / Σ at any β.
        energy, (path,) = full.best_path()
        assert path is not None
        text = hmm.text(full.output(0, path))
        probability = math.exp(float(full.free_energy(1.0)) - float(energy))
        print(f"\nThe global minimum, {float(energy):.3f}, is `{text}`; at β = 1 its path has the "
              f"probability {probability:.4f}, the largest of all.")  # fmt: skip
        free = float(full.free_energy(1.0))
        listed = ", ".join(
            f"`{hmm.text(a.value)}` {math.exp(free - a.energy):.4f}" for a in full.best(3)[0]
        )
        print(f"The three most probable (each with its best Z): {listed}.")
    figure, axis = plt.subplots(figsize=(6, 4), layout="constrained")
    places = list(range(len(BETAS)))
    for answer, values in zip(answers, zip(*rows, strict=True), strict=True):
        axis.plot(places, values, "o-", label=answer)
    axis.set_xticks(places, ["∞" if math.isinf(b) else str(b) for b in BETAS])
    axis.set(xlabel="β", ylabel="F_β(Y)", yscale="symlog", title="From marginal to minimum")
    axis.legend(fontsize=7)
    figure.savefig(out / "beta.png", dpi=90)
    plt.close(figure)


def main() -> None:
    """Print the tables and draw."""
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    factor_graphs(out)
    temperatures(out)


if __name__ == "__main__":
    main()
