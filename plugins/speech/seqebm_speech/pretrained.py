"""Networks that others have trained on speech: from torchaudio, Hugging Face, or anywhere.

Each is a module ``(B, N)`` waveforms of one length -> a list of ``(B, T, D)``, one for each layer.
It is made without its weights, which :meth:`Pretrained.load` gets: a model that was trained holds
them itself, and needs neither a network nor the directory that they came from.
"""

from __future__ import annotations

import importlib
import json
import sys
from abc import abstractmethod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from seqebm.hooks import ConfigError, DataError, PluginError, is_sealed
from seqebm_speech.options import EncoderOptions, HuggingFaceDirectory

Weights = dict[str, Tensor]

# Encoders of waveforms in transformers. Other kinds are not even built: a model file names one.
KINDS = (
    "data2vec-audio", "hubert", "sew", "sew-d", "unispeech", "unispeech-sat", "wav2vec2",
    "wav2vec2-conformer", "wavlm",
)  # fmt: skip
# What would read other files, fetch code, or load libraries.
_NEVER = (
    "auto_map", "_name_or_path", "attn_implementation", "_attn_implementation",
    "_attn_implementation_internal", "experts_implementation", "quantization_config",
)  # fmt: skip


class Pretrained(nn.Module):
    """Base of the encoders.

    Attributes:
        rate: samples per second that it was trained on, if it says so.
        scaled: whether it wants waveforms of mean 0 and variance 1.
    """

    rate: int | None = None
    scaled: bool = False

    @abstractmethod
    def forward(self, waveform: Tensor) -> list[Tensor]:
        """``(B, N)``, all of length N -> ``(B, T, D)`` for each layer."""

    @abstractmethod
    def load(self, weights: Path | None) -> None:
        """Take the weights of a file, or else those that it is published with."""

    def _take(self, network: nn.Module, tensors: Weights, where: str) -> None:
        try:
            network.load_state_dict(tensors)
        except RuntimeError as error:
            raise DataError(
                f"{where}: these weights do not fit the encoder ({str(error)[:400]})"
            ) from error


class Bundle(Pretrained):
    """A bundle of ``torchaudio.pipelines``: wav2vec 2.0, HuBERT, WavLM."""

    def __init__(self, name: str) -> None:
        super().__init__()
        import torchaudio

        bundle: Any = getattr(torchaudio.pipelines, name, None)
        kind = getattr(bundle, "_model_type", None)
        if kind not in ("Wav2Vec2", "WavLM"):
            known = [n for n in dir(torchaudio.pipelines) if _is_encoder(torchaudio.pipelines, n)]
            raise ConfigError(
                f"frontend.bundle: torchaudio {torchaudio.__version__} has no encoder {name!r}; "
                f"it has {', '.join(known)}"
            )
        self.name, self.bundle = name, bundle
        self.rate = int(bundle.sample_rate)
        # Its public get_model() downloads: the architecture alone is in attributes of its own.
        self.scaled = bundle._normalize_waveform
        build = torchaudio.models.wav2vec2_model
        if kind == "WavLM":
            build = torchaudio.models.wavlm_model
        self.network = build(**bundle._params)

    def forward(self, waveform: Tensor) -> list[Tensor]:
        """All layers of its transformer."""
        layers: list[Tensor] = self.network.extract_features(waveform)[0]
        return layers

    def load(self, weights: Path | None) -> None:
        """Of a file, or else downloaded by torch.hub, once. Raises DataError."""
        if weights is not None:
            self._take(self.network, read_weights(weights), str(weights))
            return
        try:
            tensors = self.bundle._get_state_dict(None)
        except (OSError, RuntimeError) as error:  # no network, a server's answer, a bad checksum
            folder = Path(torch.hub.get_dir()) / "checkpoints"
            raise DataError(
                f"frontend.bundle: the weights of {self.name} cannot be downloaded ({error}). On a "
                f"machine without a network, put {self.bundle._path} below {folder}, or name the "
                "file in frontend.weights"
            ) from error
        self._take(self.network, tensors, self.name)


def _is_encoder(pipelines: Any, name: str) -> bool:
    return getattr(getattr(pipelines, name), "_model_type", None) in ("Wav2Vec2", "WavLM")


class HuggingFace(Pretrained):
    """The directory of a model of Hugging Face's ``transformers`` that reads waveforms."""

    def __init__(self, directory: HuggingFaceDirectory) -> None:
        super().__init__()
        try:
            import transformers
        except ImportError as error:
            raise PluginError(
                "frontend.huggingface needs the package transformers; "
                "pip install 'seqebm-speech[huggingface]'"
            ) from error
        self.directory = directory
        name = directory.config.name
        try:
            settings = json.loads(directory.config.text)
            kind = settings.pop("model_type")
            if kind not in KINDS:
                raise ConfigError(
                    f"frontend.huggingface: {name}: a {kind!r} model is no encoder of waveforms "
                    f"that can be used; take one of {', '.join(KINDS)}"
                )
            for key in _NEVER:
                settings.pop(key, None)
            config = transformers.AutoConfig.for_model(kind, **settings)
            # Of its own training: short words are too short for the masks, and layers that are
            # dropped are missing from what it gives.
            config.apply_spec_augment, config.layerdrop = False, 0.0
            self.network = transformers.AutoModel.from_config(config)
        except ConfigError:
            raise
        except Exception as error:  # it is somebody's text: theirs may be any
            raise ConfigError(
                f"frontend.huggingface: {name} describes no model that this version of "
                f"transformers ({transformers.__version__}) knows ({error})"
            ) from error
        if directory.preprocessor is not None:
            settings = json.loads(directory.preprocessor.text)
            self.rate = settings.get("sampling_rate")
            self.scaled = bool(settings.get("do_normalize", True))

    def forward(self, waveform: Tensor) -> list[Tensor]:
        """All layers of its transformer; what that is given comes before them and is left out."""
        return list(self.network(waveform, output_hidden_states=True).hidden_states[1:])

    def load(self, weights: Path | None) -> None:
        """Of a file, or else of the directory. Raises DataError."""
        if weights is not None:
            self._take(self.network, read_weights(weights), str(weights))
            return
        import transformers

        place = self.directory.directory
        try:
            trained, report = transformers.AutoModel.from_pretrained(
                place, local_files_only=True, output_loading_info=True
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise DataError(
                f"frontend.huggingface: the weights in {place} cannot be read ({error}); it needs "
                "model.safetensors beside config.json"
            ) from error
        missing = sorted({*report["missing_keys"]} - {"masked_spec_embed"})
        missing += [str(key) for key in report["mismatched_keys"]]
        if missing:  # they were drawn at random
            raise DataError(
                f"frontend.huggingface: the weights in {place} lack {len(missing)} tensors of the "
                f"encoder ({missing[0]}, ...); are they those of its config.json?"
            )
        self._take(self.network, trained.state_dict(), place)


class AnyModule(Pretrained):
    """A class of torch modules, given by its import path: ``(B, N)`` -> ``(B, T, D)``.

    It may give a tuple that begins with that, or a list with one for each layer. A class, not a
    function, and in a model file one of a module that is imported already (e.g. by ``--plugin``):
    somebody else's model must not be able to have anything run.
    """

    def __init__(self, path: str, arguments: dict[str, Any]) -> None:
        super().__init__()
        package, _, attribute = path.partition(":")
        if is_sealed() and package not in sys.modules:
            raise ConfigError(
                f"frontend.module: this model wants {path!r}, and a model file cannot have a "
                f"module imported; do so yourself: seqebm --plugin FILE ..., FILE with "
                f"'import {package}'"
            )
        try:
            made = getattr(importlib.import_module(package), attribute)
        except (ImportError, AttributeError, ValueError) as error:
            raise ConfigError(
                f"frontend.module: {path!r} cannot be imported ({error}); write it as "
                "package.module:Class"
            ) from error
        if not (isinstance(made, type) and issubclass(made, nn.Module)):
            raise ConfigError(f"frontend.module: {path!r} is no class of torch modules")
        try:
            self.network = made(**arguments)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"frontend.arguments: {path} refuses them: {error}") from error

    def forward(self, waveform: Tensor) -> list[Tensor]:
        """What the module gives."""
        out = self.network(waveform)
        if isinstance(out, tuple):
            out = out[0]
        return list(out) if isinstance(out, list) else [out]

    def load(self, weights: Path | None) -> None:
        """Of a file; without one it stays as its class makes it."""
        if weights is not None:
            self._take(self.network, read_weights(weights), str(weights))


def read_weights(path: Path) -> Weights:
    """The tensors of a ``.safetensors`` file, or of one that ``torch.save`` wrote. DataError."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # both libraries raise many kinds for files that are damaged
        raise DataError(
            f"{path}: no weights can be read from it ({str(error)[:300]}); a state dict is "
            "expected, as .safetensors or by torch.save"
        ) from error
    if not isinstance(tensors, dict) or not all(isinstance(t, Tensor) for t in tensors.values()):
        raise DataError(f"{path}: it holds no state dict (names and tensors)")
    return tensors


def pretrained(options: EncoderOptions) -> Pretrained:
    """The encoder that the options name, without its weights."""
    if options.bundle is not None:
        return Bundle(options.bundle)
    if options.huggingface is not None:
        return HuggingFace(options.huggingface)
    return AnyModule(str(options.module), options.arguments)
