"""Several trained models as one, whose energies add."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from seqebm.errors import ModelError, UnsupportedError
from seqebm.models.config import Config, parse_config
from seqebm.models.recognizer import Recognizer


def combine(models: Sequence[Recognizer]) -> Recognizer:
    """The recogniser of energy ``Σ_k β_k E_k(Y, X)`` at β = 1: a product of experts (Hinton 2002).

    Each model's energies are weighted with its own β, as the same difference of energies means more
    to a model of high β (of minima, at β = ∞, they are just added). Models of one config and
    different seeds, for example, err differently.

    Args:
        models: two or more of isolated words, with the same vocabulary and the same front-end.

    Raises:
        ModelError: there are fewer than two, vocabularies or front-ends differ, or some have minima
            and others sums.
        UnsupportedError: the answers of one cannot be listed.
    """
    if len(models) < 2:
        raise ModelError("a committee needs two models or more; give each with its directory")
    first = models[0]
    for index, model in enumerate(models):
        if model.lattice.answers != "choice":
            raise UnsupportedError(
                f"model {index + 1} answers with a {model.lattice.answers}; only energies of "
                "answers that can be listed (isolated words) can be added up"
            )
        if model.vocabulary != first.vocabulary:
            raise ModelError(
                f"model {index + 1} has another vocabulary than the first "
                f"({len(model.vocabulary)} and {len(first.vocabulary)} words); combine models that "
                "were trained on the same words"
            )
        if (model.beta == math.inf) != (first.beta == math.inf):
            raise ModelError(
                f"model {index + 1} has β {model.beta:g}, the first {first.beta:g}: minima and "
                "sums over paths do not add up"
            )
        if not _alike(model, first):
            raise ModelError(
                f"model {index + 1} has another front-end than the first, or statistics of other "
                "data; combine models that were trained on the same data with the same front-end"
            )
    config = _config(models)
    made = Recognizer(config, first.vocabulary)
    tensors = {f"frontend.{k}": v for k, v in first.frontend.state_dict().items()}
    for index, model in enumerate(models):
        for section, part in (("features", model.features), ("lattice", model.lattice)):
            own = part.state_dict()
            tensors |= {f"{section}.parts.{index}.{k}": v for k, v in own.items()}
    made.load_tensors(tensors, "the committee")
    return made.eval()


def _alike(model: Recognizer, first: Recognizer) -> bool:
    one, other = (dict(m.frontend.state_dict()) for m in (model, first))
    return (
        model.config.explicit()["frontend"] == first.config.explicit()["frontend"]
        and one.keys() == other.keys()
        and all(torch.equal(one[name], other[name]) for name in one)
    )


def _config(models: Sequence[Recognizer]) -> Config:
    values: dict[str, Any] = models[0].config.model_dump()
    values["features"] = {
        "name": "parallel", "parts": [m.config.spec("features") for m in models],
    }  # fmt: skip
    values["lattice"] = {
        "name": "sum",
        "split": [m.features.output_dim for m in models],
        "parts": [_part(m) for m in models],
    }
    minima = models[0].beta == math.inf
    values["inference"] = {
        **models[0].config.spec("inference"), "beta": math.inf if minima else 1.0
    }  # fmt: skip
    return parse_config(values, "the committee")


def _part(model: Recognizer) -> dict[str, Any]:
    """A lattice as a part of a sum. Minima, at β = ∞, have no scale: it is 1."""
    scale = 1.0 if model.beta == math.inf else model.beta
    return {**model.config.spec("lattice"), "scale": scale}
