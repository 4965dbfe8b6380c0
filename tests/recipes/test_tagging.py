"""The tagging recipe: its plugin, its configurations, and what label bias does."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from seqebm.data import DataDir
from seqebm.hooks import get_host
from seqebm.models import load_config
from seqebm.training import loop

RECIPE = Path(__file__).parents[2] / "recipes" / "tagging"
CONFIGS = sorted(path.stem for path in (RECIPE / "conf").glob("*.yaml"))


def prepare(corpus: str, where: Path, **options) -> None:
    get_host().load_file(RECIPE / "local" / "tagging.py")
    spec = {"name": "toy", "corpus": corpus, **options}
    get_host().registry.make("preparers", spec, "test")(where)


def wrong_labels(model, data: DataDir) -> float:
    wrong = total = 0
    for u in data:
        words = torch.tensor([float(n) for n in u.path.read_text().split()][u.start : u.stop])
        with torch.no_grad():
            features, lengths = model.extract(words[None, :, None], torch.tensor([len(words)]))
        best = model.lattice.meet(features, lengths).best()[0][0]
        found = model.lattice.text(best.value).split()
        right = (u.text or "").split()
        wrong += sum(a != b for a, b in zip(found, right, strict=True))
        total += len(right)
    return wrong / total


@pytest.mark.parametrize("config", CONFIGS)
def test_every_configuration_learns(config, tmp_path):
    prepare("tags", tmp_path, train=60, test=40)
    parsed = load_config(
        RECIPE / "conf" / f"{config}.yaml", ["training.epochs=5", "training.learning_rate=0.1"]
    )
    model = loop.train(parsed, tmp_path / "train", tmp_path / "exp", None)
    # 8 labels, of which the most frequent makes out a quarter; the best possible is 0.23.
    assert wrong_labels(model, DataDir.load(tmp_path / "test")) < 0.5


@pytest.mark.slow
def test_label_bias(tmp_path):
    """Lafferty et al. (2001), section 5.1: at convergence, CRF 4.6 %, MEMM 42 % wrong."""
    prepare("rib_rob", tmp_path, train=2000, test=500)
    errors = {}
    for config in ("nll", "memm"):
        settings = [
            "frontend.size=4", "training.epochs=40", "training.batch_size=100",
            "training.learning_rate=0.2", "training.schedule=constant",
        ]  # fmt: skip
        parsed = load_config(RECIPE / "conf" / f"{config}.yaml", settings)
        model = loop.train(parsed, tmp_path / "train", tmp_path / config, None)
        errors[config] = wrong_labels(model, DataDir.load(tmp_path / "test"))
    assert errors["nll"] < 0.08 and errors["memm"] > 0.25, errors


def test_the_corpora_are_what_they_say(tmp_path):
    prepare("rib_rob", tmp_path, train=300, test=1)
    data = DataDir.load(tmp_path / "train")
    assert data.kind == "features" and data.texts == ["r1 i b", "r2 o b"]
    again = tmp_path / "again"
    again.mkdir()
    prepare("rib_rob", again, train=300, test=1)
    assert (again / "train.tokens").read_text() == (tmp_path / "train.tokens").read_text()
