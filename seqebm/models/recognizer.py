"""The recogniser: front-end, features, lattice, inference and loss as one trainable module."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from seqebm.data import ReaderPool
from seqebm.errors import ConfigError, ModelError, PluginError, SeqebmError, UnsupportedError
from seqebm.features.base import FeatureExtractor, FrontEnd
from seqebm.hooks import get_host
from seqebm.hooks.textfile import sealed
from seqebm.inference.energies import Energies
from seqebm.inference.search import Inference
from seqebm.inference.terms import Request, Terms
from seqebm.lattices.base import Lattice
from seqebm.losses.base import Loss
from seqebm.models import storage
from seqebm.models.allowance import Allowance
from seqebm.models.config import SECTIONS, Config, override, parse_config

logger = logging.getLogger(__name__)

MODEL_FILE = "model.safetensors"
_CHECKPOINT = {"model", "epoch", "optimizer_groups"}  # what a checkpoint's description has
_BASES: dict[str, type] = {
    "frontend": FrontEnd, "features": FeatureExtractor, "lattice": Lattice,
    "inference": Inference, "loss": Loss,
}  # fmt: skip


def vocabulary_of(config: Config, targets: Iterable[Any]) -> tuple[str, ...]:
    """The vocabulary that the targets of a corpus give, as the lattice of a config collects it."""
    spec = config.spec("lattice")
    component = get_host().registry.get("lattices", spec.pop("name"))
    lattice = component.load()
    if not (isinstance(lattice, type) and issubclass(lattice, Lattice)):
        raise ConfigError(
            f"lattice {component.name!r} of plugin {component.plugin!r} is no subclass of "
            "seqebm.hooks.Lattice"
        )
    return lattice.collect(targets, component.parse(spec, "lattice"))


class Recognizer(nn.Module):
    """Built from a :class:`Config` and the vocabulary of its answers.

    Attributes:
        config: what it was built from.
        vocabulary: the words of its answers.
        inference: how answers are searched for.
    """

    frontend: FrontEnd
    features: FeatureExtractor
    lattice: Lattice

    def __init__(self, config: Config, vocabulary: tuple[str, ...]) -> None:
        super().__init__()
        self.config = config = config.checked()
        self.vocabulary = tuple(vocabulary)
        self.frontend = self._make("frontend")
        self.features = self._make("features", input_dim=self.frontend.output_dim)
        self.lattice = self._make(
            "lattice", input_dim=self.features.output_dim, vocabulary=self.vocabulary
        )
        self.inference: Inference = self._make("inference")
        self.loss: Loss = self._make("loss")
        if self.config.reader:
            self.reader_pool()  # that its options fit is known before anything is read

    def _make(self, section: str, **context: Any) -> Any:
        kind, spec = SECTIONS[section], self.config.spec(section)
        made = get_host().registry.make(kind, spec, section, **context)
        base = _BASES[section]
        if not isinstance(made, base):
            component = get_host().registry.get(kind, spec["name"])
            raise PluginError(
                f"{section} {component.name!r} of plugin {component.plugin!r} gives a "
                f"{type(made).__name__}, which is no seqebm.hooks.{base.__name__}: its class must "
                "be derived from that"
            )
        return made

    @property
    def beta(self) -> float:
        """Inverse temperature of inference."""
        return self.inference.beta

    @property
    def frame_shift(self) -> float:
        """Seconds between feature frames."""
        return self.frontend.frame_shift * self.features.subsampling

    def reader_pool(self) -> ReaderPool:
        """The readers of its files, with the options of ``frontend.reader``."""
        return ReaderPool(self.frontend.reads, options=self.config.reader)

    def searching(self, settings: Mapping[str, Any]) -> Inference:
        """Its way to search with some options changed; the model stays as it is.

        ``beam`` makes an exact search one within a beam, which gives the best path's answer unless
        ``decide`` says otherwise.

        Raises :class:`ConfigError` for an option that there is not, or a value out of range.
        """
        if not settings:
            return self.inference
        spec = self.config.spec("inference")
        if spec["name"] == "exact" and settings.get("beam") is not None:
            spec = {k: v for k, v in spec.items() if k not in ("decide", "confidence")}
            spec["name"] = "beam"
        spec |= settings
        return get_host().registry.make(SECTIONS["inference"], spec, "inference")

    def extract(self, signal: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, N)`` padded signals, ``(B,)`` -> ``(B, T, D)`` features, ``(B,)`` lengths."""
        return self.features(*self.frontend(signal, lengths))

    def energies(self, signal: Tensor, lengths: Tensor) -> Energies:
        """The energies of all answers of each item."""
        return self.lattice.meet(*self.extract(signal, lengths))

    def forward(
        self, signal: Tensor, lengths: Tensor, targets: Sequence[Any]
    ) -> tuple[Tensor, Terms]:
        """The loss of each item, ``(B,)``, and the three numbers it was made from.

        In training mode a number that the loss does not read may be NaN, and costs are part of the
        energies if the loss asks for them.
        """
        features, counts = self.extract(signal, lengths)
        # Mixed precision is for the network: sums over paths need float32.
        with torch.autocast(features.device.type, enabled=False):
            if features.dtype in (torch.bfloat16, torch.float16):
                features = features.float()
            values = [self.lattice.parse(target) for target in targets]
            energies = self.lattice.meet(features, counts)
            terms = self.terms(energies, values, self.request)
            losses = self.loss(terms)
            if not self.training and self.request.cost is not None:  # energies without costs
                terms = self.terms(energies, values, Request())
            return losses, terms

    def terms(self, energies: Energies, values: Sequence[Any], request: Request) -> Terms:
        """The numbers of each item that a loss wants.

        Raises :class:`ConfigError`, which names the losses that remain, for a number that the
        energies cannot give.
        """
        try:
            return energies.terms(values, self.beta, request)
        except UnsupportedError as error:
            name, lattice = self.config.loss.name, self.config.lattice.name
            raise ConfigError(
                f"loss {name!r} and lattice {lattice!r} do not fit: {error}. Losses that do not "
                f"read that number: {', '.join(_others(request)) or 'none'}"
            ) from error

    @property
    def request(self) -> Request:
        """What the loss reads; in evaluation mode all three numbers, for the metrics (those of a
        loss with a cost are computed apart, as the cost must not count)."""
        request = self.loss.request
        if self.training or request.cost is not None or self.lattice.answers == "array":
            return request
        return request._replace(contrastive=True, offending=True)

    def save(self, directory: str | Path) -> Path:
        """Write ``model.safetensors`` in ``directory``, atomically. Raises ModelError."""
        path = Path(directory) / MODEL_FILE
        storage.write(path, dict(self.state_dict()), self.description())
        return path

    def description(self) -> dict[str, Any]:
        """What is needed, besides tensors, to build this model again."""
        return {"config": self.config.model_dump(), "vocabulary": list(self.vocabulary)}

    @classmethod
    def load(
        cls,
        path: str | Path,
        device: str | torch.device = "cpu",
        settings: Sequence[str] = (),
    ) -> Recognizer:
        """Read a model from its directory or file, in evaluation mode.

        Args:
            path: its directory, or file.
            device: where to put it.
            settings: options of its front-end and inference that shall be others than in training,
                e.g. ``frontend.limit=120``.

        A checkpoint is taken, too (its averaged weights, if it has any), and the newest one of a
        directory whose training has not come to its end, each with a warning.

        Raises:
            ModelError: missing, truncated, from another format version, or not a model.
            ConfigError: it uses a component that no installed plugin registers, or a setting is of
                another section, unknown, or out of range.
        """
        path = Path(path)
        file = _model_file(path) if path.is_dir() else path
        tensors, description = storage.read(file)
        tensors, description = _of_checkpoint(tensors, description, file)
        size = sum(tensor.nbytes for tensor in tensors.values())
        model = cls.from_description(description, str(file), size)
        if settings:
            model = cls(_otherwise(model.config, settings), model.vocabulary)
        model.load_tensors(tensors, str(file))
        return model.to(device).eval()

    @classmethod
    def from_description(cls, description: Any, where: str, size: int = 0) -> Recognizer:
        """Build an untrained model as :meth:`description` says, of ``size`` bytes of tensors.

        No other file is read, whatever the description says.
        """
        try:
            config, vocabulary = description["config"], description["vocabulary"]
        except (KeyError, TypeError):
            raise ModelError(f"{where}: holds no model description; is it a model file?") from None
        if not isinstance(vocabulary, list) or not all(isinstance(w, str) for w in vocabulary):
            raise ModelError(f"{where}: its vocabulary is no list of words; use another model")
        parsed = parse_config(config, where)
        hint = parsed.plugins and (
            f" The model was trained with the local plugin(s) {', '.join(parsed.plugins)}, which a "
            "model file does not load by itself: pass --plugin FILE."
        )
        try:
            for section, kind in SECTIONS.items():
                get_host().registry.get(kind, parsed.spec(section)["name"])
        except ConfigError as error:
            if hint:
                raise ModelError(f"{where}: {error}{hint}") from error
            raise ConfigError(f"{where}: {error}") from error
        try:
            with sealed(), Allowance(size, where):
                return cls(parsed, tuple(vocabulary))
        except ModelError:
            raise
        except SeqebmError as error:
            raise ModelError(f"{where}: {error}{hint or ''}") from error
        except Exception as error:  # a component met numbers that no training would have written
            raise ModelError(
                f"{where}: no model can be made as its description says "
                f"({type(error).__name__}: {str(error)[:300]}); use another.{hint or ''}"
            ) from error

    def load_tensors(self, tensors: dict[str, Tensor], where: str) -> None:
        """Load a state dict. Raises :class:`ModelError` if it does not fit the model."""
        try:
            self.load_state_dict(tensors)
        except RuntimeError as error:
            raise ModelError(
                f"{where}: its tensors do not fit this version of the model, or these settings "
                f"({error}). Train again, or use the seqebm version that wrote it."
            ) from None


def _otherwise(config: Config, settings: Sequence[str]) -> Config:
    """A trained model's config with other settings of what has no parameters."""
    for setting in settings:
        section, _, key = (part.strip() for part in setting.partition("=")[0].partition("."))
        if section not in ("frontend", "inference") or key in ("", "name"):
            raise ConfigError(
                f"--set {setting!r}: a trained model takes options of frontend and inference only, "
                "e.g. frontend.limit=120; others need another training"
            )
    return parse_config(override(config.model_dump(), settings), "--set")


def _model_file(directory: Path) -> Path:
    """The model of a directory, or else the newest checkpoint of its training."""
    file = directory / MODEL_FILE
    checkpoints = sorted(directory.glob("checkpoints/epoch-*.safetensors"))
    return file if file.is_file() or not checkpoints else checkpoints[-1]


def _of_checkpoint(
    tensors: dict[str, Tensor], description: Any, file: Path
) -> tuple[dict[str, Tensor], Any]:
    """Tensors and description of the model that a checkpoint holds; others stay as they are."""
    if not isinstance(description, dict) or not description.keys() >= _CHECKPOINT:
        return tensors, description
    for prefix in ("average/module.", "model/"):
        own = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        if own:
            break
    logger.warning(
        "%s: a checkpoint after %s epochs; its training has not come to its end (run it again to "
        "go on)", file, description["epoch"],
    )  # fmt: skip
    return own, description["model"]


def _others(request: Request) -> list[str]:
    """Names of the losses that read less than ``request``: not F, or else not I either."""
    registry = get_host().registry
    found = []
    for name in registry.names("losses"):
        loss = registry.get("losses", name).load()
        if isinstance(loss, type) and issubclass(loss, Loss):
            reads = loss.request
            summed = reads.contrastive or reads.risk
            if not summed if request.contrastive else not (summed or reads.offending):
                found.append(name)
    return found
