"""The recogniser: front-end, features, lattice, inference and loss as one trainable module."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from seqebm.errors import ModelError
from seqebm.hooks import (
    Answers,
    FeatureExtractor,
    FrontEnd,
    Lattice,
    Loss,
    Request,
    Terms,
    get_host,
)
from seqebm.models import storage
from seqebm.models.config import SECTIONS, Config, parse_config

MODEL_FILE = "model.safetensors"


def vocabulary_of(config: Config, texts: Iterable[str]) -> tuple[str, ...]:
    """The vocabulary that transcripts give: whole transcripts, or the words that they hold.

    A lattice whose class says ``sequential = True`` has strings of words as answers. If it has a
    function ``split(text, options)``, this gives the words (or characters) of a transcript.
    """
    component = get_host().registry.get("lattices", config.lattice.name)
    lattice = component.load()
    if getattr(lattice, "sequential", False):
        split: Callable[[str], list[str]] = str.split
        if hasattr(lattice, "split"):
            values = {k: v for k, v in config.lattice.spec().items() if k != "name"}
            split = partial(lattice.split, options=component.parse(values, "lattice"))
        return tuple(sorted({word for text in texts for word in split(text)}))
    return tuple(texts)


class Recognizer(nn.Module):
    """Built from a :class:`Config` and the vocabulary of its answers.

    Attributes:
        config: what it was built from.
        vocabulary: the answers, in the order of ``Answers.energies``.
        beta: inverse temperature of inference.
    """

    frontend: FrontEnd
    features: FeatureExtractor
    lattice: Lattice

    def __init__(self, config: Config, vocabulary: tuple[str, ...]) -> None:
        super().__init__()
        self.config = config = config.checked()
        self.vocabulary = tuple(vocabulary)
        self.beta = config.inference.beta
        self.frontend = self._make("frontend")
        self.features = self._make("features", input_dim=self.frontend.output_dim)
        self.lattice = self._make(
            "lattice", input_dim=self.features.output_dim, vocabulary=self.vocabulary
        )
        self.loss: Loss = self._make("loss")

    def _make(self, section: str, **context: Any) -> Any:
        spec = getattr(self.config, section).spec()
        return get_host().registry.make(SECTIONS[section], spec, section, **context)

    def extract(self, signal: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, N)`` padded signals, ``(B,)`` -> ``(B, T, D)`` features, ``(B,)`` lengths."""
        return self.features(*self.frontend(signal, lengths))

    def answers(self, signal: Tensor, lengths: Tensor) -> Answers:
        """Free energies of the answers of each item."""
        return self.lattice.answers(*self.extract(signal, lengths), self.beta)

    def forward(self, signal: Tensor, lengths: Tensor, targets: list[str]) -> tuple[Tensor, Terms]:
        """The loss of each item, ``(B,)``, and the three numbers it was made from.

        In training mode a number that the loss does not read may be NaN, and costs are part of the
        energies if the loss asks for them.
        """
        features, counts = self.extract(signal, lengths)
        # Mixed precision is for the network: sums over paths need float32.
        with torch.autocast(features.device.type, enabled=False):
            if features.dtype in (torch.bfloat16, torch.float16):
                features = features.float()
            terms = self.lattice.terms(features, counts, targets, self.beta, self.request)
            losses = self.loss(terms)
            if not self.training and self.request.cost is not None:  # energies without costs
                terms = self.lattice.terms(features, counts, targets, self.beta)
            return losses, terms

    @property
    def request(self) -> Request:
        """What the loss reads; in evaluation mode all three numbers, for the metrics (those of a
        loss with a cost are computed apart, as the cost must not count)."""
        request: Request = getattr(self.loss, "request", Request())
        if self.training or request.cost is not None:
            return request
        return request._replace(contrastive=True, offending=True)

    @property
    def sequential(self) -> bool:
        """Whether answers are strings of words, not one of a list."""
        return bool(getattr(self.lattice, "sequential", False))

    def save(self, directory: str | Path) -> Path:
        """Write ``model.safetensors`` in ``directory``, atomically. Raises ModelError."""
        path = Path(directory) / MODEL_FILE
        storage.write(path, dict(self.state_dict()), self.description())
        return path

    def description(self) -> dict[str, Any]:
        """What is needed, besides tensors, to build this model again."""
        return {"config": self.config.model_dump(), "vocabulary": list(self.vocabulary)}

    @classmethod
    def load(cls, path: str | Path, device: str | torch.device = "cpu") -> Recognizer:
        """Read a model from its directory or file, in evaluation mode.

        Raises:
            ModelError: missing, truncated, from another format version, or not a model.
            ConfigError: it uses a component that no installed plugin registers.
        """
        path = Path(path)
        file = path / MODEL_FILE if path.is_dir() else path
        tensors, description = storage.read(file, device)
        model = cls.from_description(description, str(file))
        model.load_tensors(tensors, str(file))
        return model.to(device).eval()

    @classmethod
    def from_description(cls, description: dict[str, Any], where: str) -> Recognizer:
        """Build an untrained model as :meth:`description` says."""
        try:
            config, vocabulary = description["config"], tuple(description["vocabulary"])
        except (KeyError, TypeError):
            raise ModelError(f"{where}: holds no model description; is it a model file?") from None
        parsed = parse_config(config, where)
        try:
            return cls(parsed, vocabulary)
        except Exception as error:
            if parsed.plugins:
                raise ModelError(
                    f"{where}: {error} The model was trained with the local plugin(s) "
                    f"{', '.join(parsed.plugins)}, which a model file does not load by itself: "
                    "pass --plugin FILE."
                ) from error
            raise

    def load_tensors(self, tensors: dict[str, Tensor], where: str) -> None:
        """Load a state dict. Raises :class:`ModelError` if it does not fit the model."""
        try:
            self.load_state_dict(tensors)
        except RuntimeError as error:
            raise ModelError(
                f"{where}: its tensors do not fit this version of the model ({error}). "
                "Train again, or use the seqebm version that wrote it."
            ) from None
