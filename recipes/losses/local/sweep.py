"""Train every loss on one lattice from one initialisation, and measure what it did to the energies.

usage: sweep.py DATA EXP CONFIG LOSS[,LOSS...]|all SEED...    (run in the recipe's directory)

EXP/CONFIG/LOSS/seedN/result.json has: error on the test part, gap I - C, diagnosis, seconds an
epoch, and how many wrong answers the loss pulls up.
"""

from __future__ import annotations

import csv
import json
import logging
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from seqebm.data import DataDir, SignalDataset
from seqebm.models import Recognizer, load_config
from seqebm.testing.losses import evaluate
from seqebm.training import train
from seqebm.training.diagnosis import batches_of, diagnose

#: Options that suit the sizes of the energies: averages over frames, from 0 to 2, with cosine
#: templates; sums over frames, differing by tens, with HMMs.
OPTIONS = {
    "templates": {
        "lvq2": "delta: 0.3",
        "hinge": "margin: 0.1", "margin_hinge": "scale: 0.1", "log": "scale: 20",
        "mce": "scale: 20", "square_square": "margin: 0.5", "square_exponential": "gamma: 0.3",
        "softmax_margin": "scale: 0.05", "boosted_mmi": "scale: 0.02",
    },
    "hmm": {
        "hinge": "margin: 5", "margin_hinge": "{scale: 5, cost: edit}", "mce": "scale: 0.3",
        "square_square": "margin: 5", "softmax_margin": "{scale: 2, cost: edit}",
        "mbr": "cost: edit",
    },
}  # fmt: skip
LOSSES = (
    "energy", "perceptron", "hinge", "margin_hinge", "log", "lvq2", "mce", "square_square",
    "square_exponential", "nll", "mee", "softmax_margin", "boosted_mmi", "mbr",
)  # fmt: skip
FREE = {"hmm", "hmm_narrow"}  # their energies may be of any sign
POSITIVE = {"lvq2", "square_square", "square_exponential"}  # they need energies above 0


def wanted(config: str, losses: str) -> list[str]:
    """Losses to run: of an HMM without normalisation those that take energies below 0."""
    chosen = LOSSES if losses == "all" else tuple(losses.split(","))
    return [loss for loss in chosen if config not in FREE or loss not in POSITIVE]


def settings_of(config: str, loss: str, seed: int) -> list[str]:
    """The loss with its options, as settings of a config."""
    given = OPTIONS[config.split("_")[0]].get(loss, "").strip("{}")
    # Soft minima over templates may fall below 0; minima do not.
    beta = ["inference.beta=.inf"] if loss in POSITIVE and config.startswith("templates") else []
    return [
        f"loss={{name: {loss}{', ' if given else ''}{given}}}", f"training.seed={seed}", *beta
    ]  # fmt: skip


def dataset(model: Recognizer, path: Path) -> SignalDataset:
    """The inks of a data directory as the model reads them."""
    return SignalDataset(DataDir.load(path), model.frontend.rate, limit=model.frontend.limit)


@torch.no_grad()
def energies(model: Recognizer, batches: list) -> tuple[Tensor, Tensor]:
    """``(N, W)`` energies of all answers, and the places ``(N,)`` of the right ones."""
    tables, right = [], []
    for batch in batches:
        features, lengths = model.extract(batch.signal, batch.lengths)
        met, parse = model.lattice.meet(features, lengths), model.lattice.parse
        columns = [
            met.clamped([parse(word)] * len(features)).free_energy(model.beta)
            for word in model.vocabulary
        ]
        tables.append(torch.stack(columns, 1))
        right += [model.vocabulary.index(target) for target in batch.targets]
    return torch.cat(tables).double(), torch.tensor(right)


def pulled(model: Recognizer, batches: list) -> float:
    """Wrong answers pulled up, an item: by a thousandth of the largest push or pull, or more."""
    table, right = energies(model, batches)
    first = table.gather(1, right[:, None])
    others = table.scatter(1, right[:, None], torch.inf).sort(1).values[:, :-1]
    both = torch.cat([first, others], 1)
    usable = torch.isfinite(both).all(1)
    _, slopes = evaluate(model.loss, both[usable], model.beta)
    return float((-slopes[:, 1:] > 1e-3 * float(slopes.abs().max())).double().sum(1).mean())


def step_time(model: Recognizer, batches: list) -> float:
    """Milliseconds an item of the loss and its gradient at the features."""
    spent, items = 0.0, 0
    model.train()
    for batch in batches:
        with torch.no_grad():
            features, lengths = model.extract(batch.signal, batch.lengths)
        leaf = features.requires_grad_()
        started = time.perf_counter()
        values = [model.lattice.parse(target) for target in batch.targets]
        terms = model.lattice.meet(leaf, lengths).terms(values, model.beta, model.request)
        model.loss(terms).mean().backward()
        spent += time.perf_counter() - started
        items += len(features)
    model.eval()
    return 1e3 * spent / items


def one(config: str, loss: str, seed: int, data: Path, out: Path) -> dict:
    """Train and measure."""
    begun = out.parents[1] / f"start/seed{seed}"
    settings = settings_of(config, loss, seed)
    if not (begun / "model.safetensors").exists():
        start = load_config(f"conf/{config}.yaml", [f"training.seed={seed}", "training.epochs=0"])
        train(start, data / "train", begun)
    made = load_config(f"conf/{config}.yaml", [*settings, f"training.init={begun}"])
    probe = Recognizer.load(begun)
    shown = dataset(probe, data / "train")
    order = torch.Generator().manual_seed(0)
    chosen = torch.randperm(min(2000, len(shown)), generator=order)[:192].tolist()
    batches = batches_of([shown[i] for i in chosen])
    judge = Recognizer(made, probe.vocabulary)
    probe.loss, probe.inference = judge.loss, judge.inference
    at_first = pulled(probe, batches)
    result: dict = {"pulled": at_first}
    try:
        model = train(made, data / "train", out)
    except Exception as error:  # a loss may diverge: that is a result too
        return result | {"failed": f"{type(error).__name__}: {error}"}
    test = dataset(model, data / "test")
    table, right = energies(model, list(batches_of([test[i] for i in range(len(test))])))
    found = diagnose(model, batches)
    with (out / "metrics.csv").open() as file:
        seconds = [float(row["seconds"]) for row in csv.DictReader(file)]
    return result | {
        "error": float((table.argmin(1) != right).double().mean()),
        "gap": float(np.median(found.gaps)) if len(found.gaps) else 0.0,
        "flat": found.flat,
        "warnings": [fault.name for fault in found.warnings],
        "pulled_after": pulled(model, batches),
        "seconds": float(np.mean(seconds)),
    }


def main() -> None:
    """Run what has no result yet."""
    data, exp, config, losses, *seeds = sys.argv[1:]
    logging.disable(logging.WARNING)  # the diagnosis is in result.json
    for loss in wanted(config, losses):
        for seed in seeds:
            out = Path(exp) / config / loss / f"seed{seed}"
            if (out / "result.json").exists():
                continue
            result = one(config, loss, int(seed), Path(data), out)
            out.mkdir(parents=True, exist_ok=True)
            (out / "result.json").write_text(json.dumps(result, indent=1))
            print(config, loss, seed, json.dumps(result)[:160], flush=True)


if __name__ == "__main__":
    main()
