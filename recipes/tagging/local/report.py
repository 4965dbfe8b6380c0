"""Share of wrong labels of every model in EXP, beside the least that is possible.

Usage: python local/report.py EXP   (EXP/CORPUS/CONFIG are models, data/CORPUS/test their test set)

"true model, posterior" labels each word with its most probable label under the true probabilities:
on average, nothing has a lower share of wrong labels. "true model, best path" is the true model's
Viterbi labelling, which has the lowest share of wrong sentences.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from tagging import language, true_energies

from seqebm.data import DataDir, ReaderPool
from seqebm.hooks import get_host
from seqebm.kernels.chain.ops import best_path, posteriors
from seqebm.models import Recognizer

HERE = Path(__file__).parent


def errors(found: list[list[str]], right: list[list[str]]) -> dict[str, float]:
    """Share of wrong labels and of sentences with a wrong label."""
    wrong = [
        sum(a != b for a, b in zip(f, r, strict=True)) for f, r in zip(found, right, strict=True)
    ]
    tokens = sum(map(len, right))
    return {"labels": sum(wrong) / tokens, "sentences": sum(n > 0 for n in wrong) / len(wrong)}


@torch.no_grad()
def main() -> None:
    """Print one table for each corpus and write EXP/report.json."""
    exp = Path(sys.argv[1])
    get_host().load_file(HERE / "tagging.py")
    report: dict[str, dict[str, dict[str, float]]] = {}
    for corpus in sorted(p.name for p in exp.iterdir() if p.is_dir()):
        test = DataDir.load(HERE.parent / "data" / corpus / "test")
        reader = ReaderPool("features")
        words = [
            torch.from_numpy(reader.for_path(u.path).read(u.path, 1, u.start, u.stop)) for u in test
        ]
        right = [(u.text or "").split() for u in test]
        signal = torch.nn.utils.rnn.pad_sequence(words, batch_first=True)
        lengths = torch.tensor([len(w) for w in words])
        model = language(corpus)
        emit, follow, start = true_energies(model)
        truth = emit.T[signal[..., 0].long()], lengths, follow, start, torch.zeros_like(start)
        paths = best_path(*truth)[1]
        marginal = posteriors(*truth, 1.0)[1].argmax(2)
        rows = {
            "true model, posterior": [m[:n] for m, n in zip(marginal, lengths, strict=True)],
            "true model, best path": paths,
        }
        named = {k: [[model.labels[i] for i in y] for y in v] for k, v in rows.items()}
        for config in sorted(p.parent for p in (exp / corpus).glob("*/model.safetensors")):
            trained = Recognizer.load(config)
            best = trained.energies(signal, lengths).best()
            named[config.name] = [trained.lattice.text(b[0].value).split() for b in best]
        report[corpus] = {name: errors(found, right) for name, found in named.items()}
        print(f"{corpus}: {len(right)} sentences, {sum(map(len, right))} words")
        for name, row in report[corpus].items():
            print(f"  {name:24}{row['labels']:8.2%} wrong labels {row['sentences']:8.2%} sentences")
    (exp / "report.json").write_text(json.dumps(report, indent=1) + "\n")


main()
