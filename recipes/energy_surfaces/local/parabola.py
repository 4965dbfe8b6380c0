"""Learning Y = X²: which architectures collapse under which losses. Figures, animation, table."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.animation import FuncAnimation, PillowWriter
from surfaces import ARCHITECTURES, RANGE, grid, make_loss, surface, terms
from torch import Tensor

ITEMS, STEPS, RATE, SAMPLES = 100, 3000, 1e-2, 20
XS, YS = torch.linspace(-1, 1, 61), torch.linspace(*RANGE, 61)
#: Losses over C, F and I; margins and scales suit energies of about 1.
LOSSES = {
    "energy": {}, "perceptron": {}, "hinge": {"margin": 0.5}, "log": {"scale": 5.0}, "lvq2": {},
    "mce": {"scale": 5.0}, "square_square": {"margin": 0.5}, "square_exponential": {"gamma": 0.1},
    "nll": {}, "mee": {},
}  # fmt: skip
SHOWN = [
    ("regression", "energy"), ("two branches", "energy"), ("two branches", "square_square"),
    ("two branches", "nll"),
]  # fmt: skip
FRAMES = sorted({0, *np.unique(np.geomspace(1, STEPS - 1, 40).astype(int)).tolist()})


def run(
    architecture: str, loss_name: str, seed: int, decay: float, film: list[Tensor] | None = None
) -> dict[str, float]:
    """Train one model; what became of its surface."""
    torch.manual_seed(seed)
    model = ARCHITECTURES[architecture]()
    loss = make_loss(loss_name, **LOSSES[loss_name])
    optimizer = torch.optim.Adam(model.parameters(), RATE, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    x = torch.rand(ITEMS) * 2 - 1
    before = float(surface(model, XS, YS).std())
    started = time.perf_counter()
    for step in range(STEPS):
        if film is not None and step in FRAMES:
            film.append(surface(model, XS, YS))
        # Answers to pull up are sampled; so the integral of NLL is a Monte Carlo one.
        sampled = torch.rand(ITEMS, SAMPLES) * (RANGE[1] - RANGE[0]) + RANGE[0]
        value = loss(terms(model, x, x.square(), sampled)).mean()
        optimizer.zero_grad()
        if value.requires_grad:
            value.backward()
            optimizer.step()
        schedule.step()
    seconds = time.perf_counter() - started
    found = surface(model, XS, YS)
    if film is not None:
        film.append(found)
    with torch.no_grad():
        energies = terms(model, XS, XS.square(), grid())
    answer = YS[found.argmin(0)]
    gap = energies.offending - energies.correct
    return {
        "error": float((answer - XS.square()).abs().mean()),
        "gap": float(gap.median()),
        "flat": float(found.std()) / before,
        "right": float((gap > 0).float().mean()),
        "seconds": seconds,
    }


def draw(films: dict[tuple[str, str], list[Tensor]], out: Path) -> None:
    """The surfaces at five moments, and all frames as an animation."""
    moments = [0, len(FRAMES) // 4, len(FRAMES) // 2, 3 * len(FRAMES) // 4, len(FRAMES)]
    extent = (-1, 1, *RANGE)
    figure, axes = plt.subplots(
        len(films), len(moments), figsize=(11, 2.3 * len(films)), sharex=True, sharey=True,
        layout="constrained", squeeze=False,
    )  # fmt: skip
    for row, (name, film) in zip(axes, films.items(), strict=True):
        top = float(max(film[0].max(), film[-1].max()))
        for axis, moment in zip(row, moments, strict=True):
            image = axis.imshow(
                film[moment], origin="lower", extent=extent, aspect="auto", vmin=0, vmax=top,
                cmap="viridis",
            )  # fmt: skip
            axis.plot(XS, XS.square(), "w--", lw=1)
            axis.plot(XS, YS[film[moment].argmin(0)], "r.", ms=2)
            axis.set_title(f"step {(*FRAMES, STEPS)[moment]}", fontsize=8)
        row[0].set_ylabel(f"{name[0]}\n{name[1]}\nY", fontsize=8)
        figure.colorbar(image, ax=row[-1])
    for axis in axes[-1]:
        axis.set_xlabel("X")
    figure.suptitle("E(X, Y) in training; white: Y = X², red: the answer of least energy")
    figure.savefig(out / "parabola.png", dpi=90)
    plt.close(figure)
    figure, row = plt.subplots(1, len(films), figsize=(11, 3), layout="constrained", squeeze=False)
    images = []
    for axis, (name, film) in zip(row[0], films.items(), strict=True):
        top = float(max(film[0].max(), film[-1].max()))
        images.append(
            axis.imshow(film[0], origin="lower", extent=extent, aspect="auto", vmin=0, vmax=top)
        )
        axis.plot(XS, XS.square(), "w--", lw=1)
        axis.set_title(", ".join(name), fontsize=9)

    def show(frame: int) -> list:
        for image, film in zip(images, films.values(), strict=True):
            image.set_data(film[frame])
        figure.suptitle(f"step {(*FRAMES, STEPS)[frame]}", fontsize=9)
        return images

    film_ = FuncAnimation(figure, show, frames=len(FRAMES) + 1)
    film_.save(out / "parabola.gif", PillowWriter(fps=6), dpi=60)
    plt.close(figure)


def main() -> None:
    """Run all, draw, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--decay", type=float, default=3e-3, help="weight decay")
    parser.add_argument("--losses", nargs="+", choices=LOSSES, default=[*LOSSES])
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    films: dict[tuple[str, str], list[Tensor]] = {name: [] for name in SHOWN}
    print("| architecture | loss | mean error of Y | gap I - C | spread of E, after / before | "
          "C lowest | collapsed | seconds |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    for architecture in ARCHITECTURES:
        for loss in options.losses:
            name = architecture, loss
            rows = [
                run(*name, seed, options.decay, None if index else films.get(name))
                for index, seed in enumerate(options.seeds)
            ]
            mean = {key: np.mean([row[key] for row in rows]) for key in rows[0]}
            flat = sum(row["flat"] < 0.1 for row in rows)
            print(
                f"| {architecture} | `{loss}` | {mean['error']:.3f} | {mean['gap']:.3f} | "
                f"{mean['flat']:.2f} | {mean['right']:.0%} | {flat} of {len(rows)} | "
                f"{mean['seconds']:.1f} |",
                flush=True,
            )
    draw({name: film for name, film in films.items() if film}, options.out)


if __name__ == "__main__":
    main()
