"""Several models as one: energies add, whatever the parts are made of."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from toy import TINY

from seqebm.errors import ConfigError, ModelError, UnsupportedError
from seqebm.models import Recognizer
from seqebm.models.committee import combine
from seqebm.models.config import override, parse_config
from seqebm.models.enrolment import enrol, forget
from seqebm.testing import assert_sound, check

WORDS = ("down", "flat", "up")
SUM = {"name": "sum", "parts": [
    {"name": "templates", "count": 1, "length": 4, "scale": 3.0}, {"name": "pooled"},
]}  # fmt: skip


def model(seed: int = 0, vocabulary=WORDS, lattice=None, *settings: str) -> Recognizer:
    torch.manual_seed(seed)
    values = override(copy.deepcopy(TINY), settings)
    if lattice is not None:
        values["lattice"] = lattice
    made = Recognizer(parse_config(values), vocabulary)
    for parameter in made.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.3)
    made.frontend.fit([heard()])
    return made.eval()


def heard():
    torch.manual_seed(5)
    return torch.randn(3, 4000), torch.tensor([4000, 3100, 2500])


def values(model: Recognizer, beta: float):
    with torch.no_grad():
        return model.energies(*heard()).values(beta)


@pytest.mark.parametrize("lattices", [(None, None), (None, "pooled"), (SUM, "pooled", None)])
def test_energies_are_those_of_the_parts_each_at_its_own_beta(lattices, tmp_path):
    betas = (4.0, 1.0, 2.5)[: len(lattices)]
    parts = [
        model(k, WORDS, lattice, f"inference.beta={beta}")
        for k, (lattice, beta) in enumerate(zip(lattices, betas, strict=True))
    ]
    made = combine(parts)
    expected = sum(beta * values(part, beta) for part, beta in zip(parts, betas, strict=True))
    torch.testing.assert_close(values(made, 1.0), expected, rtol=1e-4, atol=1e-4)
    assert made.beta == 1.0 and made.vocabulary == WORDS
    made.save(tmp_path)
    torch.testing.assert_close(values(Recognizer.load(tmp_path), 1.0), values(made, 1.0))


def test_minima_are_added():
    parts = [model(k, WORDS, None, "inference.beta=.inf") for k in range(2)]
    made = combine(parts)
    expected = sum(values(part, math.inf) for part in parts)
    torch.testing.assert_close(values(made, math.inf), expected, rtol=1e-4, atol=1e-5)


def test_a_committee_may_be_of_committees_and_learns_words():
    one = combine([model(0), model(1)])
    two = combine([one, combine([model(2), model(3)])])
    expected = sum(model(k).beta * values(model(k), model(k).beta) for k in range(4))
    torch.testing.assert_close(values(two, 1.0), expected, rtol=1e-4, atol=1e-4)
    larger = enrol(one, "new", [torch.randn(3000), torch.randn(2800)])
    assert larger.vocabulary == (*WORDS, "new")
    torch.testing.assert_close(values(larger, 1.0)[:, :3], values(one, 1.0))
    smaller = forget(larger, "new")
    torch.testing.assert_close(values(smaller, 1.0), values(one, 1.0))


def test_what_cannot_be_combined_is_named():
    first = model()
    with pytest.raises(ModelError, match="two models or more"):
        combine([first])
    with pytest.raises(ModelError, match="model 2 has another vocabulary"):
        combine([first, model(1, ("down", "up"))])
    with pytest.raises(ModelError, match="model 2 has another front-end"):
        combine([first, model(1, WORDS, None, "frontend.mels=12")])
    with pytest.raises(ModelError, match="model 3 has β inf, the first"):
        combine([first, model(1), model(2, WORDS, None, "inference.beta=.inf")])
    strings = model(1, WORDS, {"name": "hmm", "lexicon": "words", "states": 2})
    with pytest.raises(UnsupportedError, match="model 2 answers with a string"):
        combine([first, strings])
    other = model(1)
    other.frontend.mean += 1.0
    with pytest.raises(ModelError, match="statistics of other data"):
        combine([first, other])


def test_parallel_is_a_sound_extractor():
    parts = [
        {"name": "tdnn", "channels": 4, "kernels": [3], "output_dim": 5},
        {"name": "tdnn", "channels": 6, "kernels": [3, 3], "output_dim": 2},
        {"name": "identity"},
    ]
    assert_sound(check("features", "parallel", parts=parts))


def test_parts_side_by_side_make_as_many_frames():
    parts = [{"name": "identity"}, {"name": "tdnn", "kernels": [3], "strides": [2]}]
    with pytest.raises(
        ConfigError, match=r"parts\.1 makes one frame of 2, but the first part of 1"
    ):
        check("features", "parallel", parts=parts)
    with pytest.raises(ConfigError, match=r"features\.parts\.0"):
        check("features", "parallel", parts=[{"name": "tdnn", "kernel": [3]}])


@pytest.mark.parametrize("split", [[3], [3, 4], [0, 8]])
def test_a_split_names_all_features(split):
    lattice = {"name": "sum", "split": split, "parts": [{"name": "pooled"}, {"name": "pooled"}]}
    with pytest.raises(ConfigError, match=r"lattice\.split"):
        model(0, WORDS, lattice)
