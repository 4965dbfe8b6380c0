"""Records, to the bit, what every configuration of the recipes computes after its debug run.

For a change that must change nothing: record before it and after it, and compare. Numbers of two
machines differ in their last bits, so a record is kept nowhere: make both on one.

usage: PYTHONPATH=CHECKOUT:CHECKOUT/tests python tests/recipes/record.py make FILE [NAME ...]
       python tests/recipes/record.py compare BEFORE AFTER

What is recorded of each configuration: its training (metrics of each epoch, diagnosis), the loss
and the energies of the right, of all and of the most offending answers (float64), answers under
several ways to search, and alignments.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

RECIPES = Path(__file__).parents[2] / "recipes"
#: Ways to search, of which each model takes what it can.
SEARCHES: tuple[dict[str, Any], ...] = (
    {}, {"nbest": 3}, {"beam": 8.0, "widen": True}, {"decide": "sentence"}, {"decide": "words"},
    {"beam": 4.0, "widen": True, "confidence": True, "nbest": 2},
    {"lm_scale": 0.5, "word_penalty": 0.3},
)  # fmt: skip


def exact(value: Any) -> Any:
    """Floats as hexadecimal text: JSON that is equal only if all bits are."""
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, dict):
        return {str(key): exact(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [exact(item) for item in value]
    return value


def energies(exp: Path, data: Path) -> dict[str, Any]:
    """Losses and the three energies of each utterance; in float64 from the frames on."""
    import torch
    from torch import nn

    from seqebm.data import DataDir, SignalDataset, collate
    from seqebm.models import Recognizer

    class Doubled(nn.Module):
        def __init__(self, frontend: Any) -> None:
            super().__init__()
            self.frontend = frontend

        def forward(self, signal: Any, lengths: Any) -> Any:
            frames, counts = self.frontend(signal, lengths)
            return frames.double(), counts

    model: Any = Recognizer.load(exp)
    dataset = SignalDataset(DataDir.load(data), model.frontend.rate, limit=model.frontend.limit)
    model.features.double()
    model.lattice.double()
    model.frontend = Doubled(model.frontend)
    found: dict[str, Any] = {}
    for first in range(0, len(dataset), 8):
        batch = collate([dataset[i] for i in range(first, min(first + 8, len(dataset)))])
        with torch.no_grad():
            losses, terms = model(batch.signal, batch.lengths, batch.targets)
        for b, name in enumerate(batch.ids):
            numbers = [losses[b], terms.correct[b], terms.contrastive[b], terms.offending[b]]
            found[name] = [float(n) for n in numbers]
    return found


def answers(exp: Path, data: Path) -> dict[str, Any]:
    """What each way to search answers; a model that cannot search so says why."""
    import seqebm
    from seqebm.data import DataDir

    found: dict[str, Any] = {}
    for search in SEARCHES:
        try:
            results = list(seqebm.recognise(exp, DataDir.load(data), **search))
        except seqebm.SeqebmError:
            found[str(search)] = "refused"
            continue
        found[str(search)] = [
            str(r) if isinstance(r, seqebm.SeqebmError) else r.as_dict() for r in results
        ]
    return found


def alignments(exp: Path, data: Path, out: Path) -> str:
    """What ``seqebm align`` writes."""
    command = [sys.executable, "-m", "seqebm", "align", "--model", str(exp), "--data", str(data)]
    subprocess.run([*command, "--output", str(out)], capture_output=True)
    file = out / "align.jsonl"
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def make(file: Path, wanted: list[str]) -> None:
    """Run every configuration and write the record."""
    import debug_runs
    import torch
    import yaml
    from toy import write_tones

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        debug_runs.prepared_files(root)
        os.chdir(root)
        made = debug_runs.corpora(root, write_tones(root / "tones"))
        registry = yaml.safe_load((RECIPES / "registry.yaml").read_text(encoding="utf-8"))
        record: dict[str, Any] = {}
        for recipe, entry in registry.items():
            for config in entry["configs"]:
                name = f"{recipe}/{config}"
                if wanted and name not in wanted:
                    continue
                debug_runs.last_loss(recipe, config, made, root)
                exp = root / recipe / config
                corpus = debug_runs.CORPUS.get(name, debug_runs.CORPUS[recipe])
                rows = list(csv.DictReader((exp / "metrics.csv").open()))
                metrics = [{k: v for k, v in row.items() if k != "seconds"} for row in rows]
                diagnosis = exp / "diagnosis.json"
                record[name] = exact(
                    {
                        "metrics": metrics,
                        "diagnosis": json.loads(diagnosis.read_text()) if rows else None,
                        "energies": energies(exp, made[corpus]),
                        "answers": answers(exp, made[corpus]),
                        "alignments": alignments(exp, made[corpus], root / "aligned" / name),
                    }
                )
                print(name, file=sys.stderr, flush=True)
    file.write_text(json.dumps(record, indent=0, sort_keys=True) + "\n")


def compare(before: Path, after: Path) -> int:
    """Print where two records differ; the number of configurations that do."""
    old, new = (json.loads(path.read_text()) for path in (before, after))
    different = sorted(n for n in {*old, *new} if old.get(n) != new.get(n))
    for name in different:
        parts = [p for p in old.get(name, {}) if old[name][p] != new.get(name, {}).get(p)]
        print(f"{name}: {', '.join(parts) or 'only in one record'}")
        for part in parts:
            print(f"  {part}: {_first(old[name][part], new.get(name, {}).get(part))}")
    print(f"{len(different)} of {len(old)} configurations differ")
    return len(different)


def _first(old: Any, new: Any, path: str = "") -> str:
    """Where two JSON values differ first."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in {*old, *new}:
            if old.get(key) != new.get(key):
                return _first(old.get(key), new.get(key), f"{path}.{key}")
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (a, b) in enumerate(zip(old, new, strict=True)):
            if a != b:
                return _first(a, b, f"{path}[{index}]")
    return f"{path}: {str(old)[:200]} -> {str(new)[:200]}"


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["make", file, *names]:
            make(Path(file).resolve(), names)
        case ["compare", before, after]:
            sys.exit(min(1, compare(Path(before), Path(after))))
        case _:
            sys.exit(__doc__)
