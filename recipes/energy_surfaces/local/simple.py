"""The simple architectures: regression, two classes, several classes, and implicit regression.

Each is an energy and a loss of seqebm; where textbooks have another name for the pair, the
gradients are compared with that. usage: simple.py OUT
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
import torch.nn.functional as nnf
from surfaces import TwoBranches, make_loss, mlp, surface, terms
from torch import Tensor

from seqebm.hooks import Choice, Loss


def loss_of(loss: Loss, scores: Tensor, y: Tensor) -> Tensor:
    """The mean loss of scores ``(B, W)`` with right answers ``(B,)``: E(Y, X) = -scores[Y]."""
    answers = Choice(lambda _: -scores, torch.ones(len(y)))
    return loss(answers.terms(y.tolist(), 1.0, loss.request)).mean()


def classes(count: int, loss_name: str) -> tuple[float, float]:
    """Error on test points, and the largest difference from the textbook's gradient."""
    torch.manual_seed(0)
    centres = 1.6 * torch.tensor([[1.0, 0], [-1, 0], [0, 1.7]])[:count]
    y = torch.randint(count, (1000,))
    x = centres[y] + torch.randn(1000, 2) * 0.6
    model = torch.nn.Linear(2, 1) if count == 2 else mlp(2, count)

    def scores(x: Tensor) -> Tensor:
        """Two classes: E(Y, X) = -Y G(X) / 2 with Y = ±1, so the gap is G."""
        g = model(x)
        return torch.cat([-g, g], 1) / 2 if count == 2 else g

    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    loss, apart = make_loss(loss_name), 0.0
    for _ in range(300):
        value = loss_of(loss, scores(x[:500]), y[:500])
        own = torch.autograd.grad(value, list(model.parameters()), retain_graph=True)
        known = textbook(loss_name, scores(x[:500]), y[:500])
        theirs = torch.autograd.grad(known, list(model.parameters()))
        apart = max(apart, *(float((a - b).abs().max()) for a, b in zip(own, theirs, strict=True)))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    return float((scores(x[500:]).argmax(1) != y[500:]).float().mean()), apart


def textbook(name: str, scores: Tensor, y: Tensor) -> Tensor:
    """The same criterion as PyTorch or the textbook writes it."""
    if name == "perceptron":
        return (scores.amax(1) - scores.gather(1, y[:, None]).squeeze(1)).mean()
    if name == "log" and scores.shape[1] == 2:  # logistic regression
        return nnf.binary_cross_entropy_with_logits(scores[:, 1] - scores[:, 0], y.float())
    return nnf.cross_entropy(scores, y)


def implicit(out: Path) -> None:
    """Y² = X has two right answers; E = |G1(X) - G2(Y)| may be low at both. NLL, sampled Y."""
    torch.manual_seed(0)
    model, loss = TwoBranches(), make_loss("nll")
    optimizer = torch.optim.Adam(model.parameters(), 1e-2, weight_decay=1e-3)
    steps = 3000
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        y = torch.rand(200) * 2.4 - 1.2
        value = loss(terms(model, y.square(), y, torch.rand(200, 30) * 3 - 1.5)).mean()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        schedule.step()
    x = torch.linspace(0.1, 1.2, 50)
    right = torch.stack([x.sqrt(), -x.sqrt()], 1)
    ys = torch.linspace(-1.5, 1.5, 301)

    def error(found: Tensor) -> float:
        return float((found[:, None] - right).abs().amin(1).mean())

    started = time.perf_counter()
    whole = surface(model, x, ys)
    on_grid, grid_time = ys[whole.argmin(0)], time.perf_counter() - started
    # The set of answers: the lowest of each half.
    halves = torch.stack([ys[151:][whole[151:].argmin(0)], ys[:150][whole[:150].argmin(0)]], 1)
    both = float((halves - right).abs().mean())
    cells = f"{error(on_grid):.3f} | {both:.3f} | 301 | {1e3 * grid_time:.1f}"
    print(f"| grid of 301 answers | {cells} |")
    for starts in (1, 8):
        started = time.perf_counter()
        y = torch.linspace(-1.4, 1.4, starts + 2)[1:-1].expand(50, -1).clone()
        energies = []
        for step in range(60):
            y.requires_grad_()
            energy = model(x[:, None].expand_as(y), y)
            energies.append(energy.detach())
            (slope,) = torch.autograd.grad(energy.sum(), y)
            y = (y - 0.1 * 0.93**step * slope.sign()).detach()
        energy = model(x[:, None].expand_as(y), y).detach()
        best = y.gather(1, energy.argmin(1)[:, None]).squeeze(1)
        seconds = time.perf_counter() - started
        positive = y.masked_fill(y < 0, 9.0).gather(
            1, energy.masked_fill(y < 0, 1e9).argmin(1)[:, None]
        )
        negative = y.masked_fill(y > 0, -9.0).gather(
            1, energy.masked_fill(y > 0, 1e9).argmin(1)[:, None]
        )
        both = float((torch.cat([positive, negative], 1) - right).abs().mean())
        shown = f"{both:.3f}" if starts > 1 else "one found"
        print(f"| gradient descent, 60 steps, {starts} start(s) | {error(best):.3f} | {shown} | "
              f"{120 * starts} | {1e3 * seconds:.1f} |")  # fmt: skip
    xs = torch.linspace(0, 1.3, 80)
    figure, axis = plt.subplots(figsize=(5, 4), layout="constrained")
    energies = surface(model, xs, ys)
    energies = energies - energies.amin(0)  # answers compete for each X alone
    image = axis.imshow(
        energies, origin="lower", extent=(0, 1.3, -1.5, 1.5), aspect="auto", vmax=15
    )
    axis.plot(xs, xs.sqrt(), "w--", xs, -xs.sqrt(), "w--")
    axis.plot(x, on_grid, "r.", ms=4, label="grid")
    axis.plot(x, best, "kx", ms=4, label="gradient descent")
    axis.set(xlabel="X", ylabel="Y", title="Y² = X: two right answers, one surface")
    axis.legend()
    figure.colorbar(image, label="energy above the least for this X")
    figure.savefig(out / "implicit.png", dpi=90)


def main() -> None:
    """Print both tables."""
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    print("| classes | loss | known as | test error | largest difference of a gradient |")
    print("|---|---|---|---|---|")
    for count, loss, known in (
        (2, "perceptron", "the perceptron"), (2, "log", "logistic regression"),
        (3, "perceptron", "the multi-class perceptron"), (3, "nll", "softmax and cross-entropy"),
    ):  # fmt: skip
        error, apart = classes(count, loss)
        print(f"| {count} | `{loss}` | {known} | {error:.1%} | {apart:.1e} |")
    print("\n| inference for Y² = X | error of the best answer | of both answers | "
          "energies computed | ms for 50 X |")  # fmt: skip
    print("|---|---|---|---|---|")
    implicit(out)


if __name__ == "__main__":
    main()
