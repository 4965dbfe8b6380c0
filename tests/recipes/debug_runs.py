"""A short training of every configuration of the recipes, on a toy corpus of its kind.

A program of its own (test_recipe_registry.py runs it), as local plugins of recipes stay loaded.
usage: PYTHONPATH=tests python tests/recipes/debug_runs.py DIRECTORY TONES
"""

from __future__ import annotations

import csv
import json
import os
import sys
from pathlib import Path

import numpy as np
import yaml
from phrases import write_phrases

from seqebm.data import DataDir, Utterance, write_data_dir
from seqebm.hooks import get_host
from seqebm.models import load_config
from seqebm.training import train

RECIPES = Path(__file__).parents[2] / "recipes"
SHORT = [
    "training.epochs=2", "training.batch_size=8", "training.threads=1", "training.average=0.0",
    "training.init=null", "training.bad_utterances=skip", "training.precision=32-true",
]  # fmt: skip


def corpora(root: Path, tones: Path) -> dict[str, Path]:
    """Data directories: isolated and connected speech, digits and words of ink, cepstra."""
    made = {"tones": tones / "train", "phrases": write_phrases(root / "phrases") / "train"}
    for what, options in (("digits", {}), ("lower", {}), ("words", {"words": 12})):
        spec = {"name": "synthetic_ink", "what": what, "train_writers": 3, "test_writers": 1,
                "repetitions": 1, **options}  # fmt: skip
        get_host().registry.make("preparers", spec, "preparers")(root / what)
        made[what] = root / what / "train"
    rng = np.random.default_rng(0)
    cepstra = []
    for n in range(16):
        path = root / "cepstra" / f"{n}.mfc"
        path.parent.mkdir(exist_ok=True)
        words = ["A", "B"] * (1 + n % 2)
        frames = np.concatenate([rng.normal(3.0 * (w == "A"), 1, (40, 13)) for w in words])
        with path.open("wb") as file:  # Sphinx: a count of numbers, then the numbers
            np.array([frames.size], ">i4").tofile(file)
            frames.astype(">f4").tofile(file)
        cepstra.append(Utterance(f"s-{n:02}", path, " ".join(words), "s"))
    write_data_dir(root / "cepstra-data", cepstra, "features")
    made["cepstra"] = root / "cepstra-data"
    return made


def prepared_files(root: Path) -> None:
    """What recipes prepare beside their data, relative to where they run."""
    (root / "data").mkdir()
    (root / "data/words.txt").write_text("down\nflat\nup\n")
    (root / "local").mkdir()
    (root / "data/lexicon.txt").write_text("A a x\nB b y\n")
    (root / "data/lm.arpa").write_text(
        "\\data\\\nngram 1=4\n\n\\1-grams:\n-0.5 A\n-0.5 B\n-99 <s>\n-0.5 </s>\n\n\\end\\\n"
    )
    (root / "local/characters.txt").write_text(
        "".join(f"{c}\n" for c in "abcdefghijklmnopqrstuvwxyz")
    )
    (root / "local/digits.txt").write_text("".join(f"{c}\n" for c in "0123456789"))


CORPUS = {
    "digits": "tones", "spoken_words": "tones", "yesno": "phrases", "an4": "cepstra",
    "losses": "digits",
    "unipen_chars": "digits", "unipen_words": "words", "unipen_words/characters": "lower",
    "tagging": "tags",
}  # fmt: skip


def last_loss(recipe: str, config: str, made: dict[str, Path], root: Path) -> float:
    """Train two epochs; the loss of the second. The working directory must have the files."""
    path = RECIPES / recipe / "conf" / f"{config}.yaml"
    loaded = load_config(path, SHORT)
    corpus = CORPUS.get(f"{recipe}/{config}", CORPUS[recipe])
    if corpus == "tags" and "tags" not in made:  # the config has brought the preparer
        spec = {"name": "toy", "corpus": "tags", "train": 40, "test": 5}
        (root / "tags").mkdir()
        get_host().registry.make("preparers", spec, "preparers")(root / "tags")
        made["tags"] = root / "tags/train"
    data = DataDir.load(made[corpus])
    exp = root / recipe / config
    train(loaded, data, exp)
    rows = list(csv.DictReader((exp / "metrics.csv").open()))
    return float(rows[-1]["train_loss"]) if rows else 0.0


def main(root: Path, tones: Path) -> None:
    """Print the last loss of every configuration as JSON."""
    prepared_files(root)
    os.chdir(root)
    made = corpora(root, tones)
    registry = yaml.safe_load((RECIPES / "registry.yaml").read_text(encoding="utf-8"))
    losses = {
        f"{recipe}/{config}": last_loss(recipe, config, made, root)
        for recipe, entry in registry.items()
        for config in entry["configs"]
    }
    print(json.dumps(losses))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
