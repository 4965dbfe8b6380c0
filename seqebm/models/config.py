"""The configuration of a model and its training: architecture + inference + loss."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator

from seqebm.errors import ConfigError
from seqebm.hooks import Options, get_host
from seqebm.hooks.registry import validate
from seqebm.settings import load_yaml, parse_setting
from seqebm.text import read_text


class Section(Options):
    """``name`` of a registered component, and its options (validated by the component)."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str

    def spec(self) -> dict[str, Any]:
        """Name and options as one dict."""
        return self.model_dump()


class Training(Options):
    """How the parameters are found. Epochs = 0 keeps the initialisation from data."""

    init: str | None = Field(
        None, description="a trained model of the same architecture to start from (exp/NAME)"
    )
    epochs: int = Field(25, ge=0, description="passes over the training data")
    batch_size: int = Field(64, ge=1, description="utterances per optimiser step, at most")
    optimizer: Literal["adamw", "sgd"] = Field("adamw", description="of torch.optim")
    learning_rate: float = Field(2e-3, gt=0, description="at its highest, after warm-up")
    lattice_learning_rate: float | None = Field(
        None, gt=0, description="of the lattice's parameters; default: learning_rate"
    )
    weight_decay: float = Field(1e-2, ge=0, description="not applied to biases, norms, lattice")
    momentum: float = Field(0.9, ge=0, lt=1, description="sgd only")
    warmup_epochs: float = Field(1.0, ge=0, description="linear warm-up of the learning rate")
    schedule: Literal["cosine", "linear", "constant"] = Field(
        "cosine", description="how the learning rate falls to 0 after warm-up"
    )
    clip_norm: float | None = Field(5.0, gt=0, description="largest gradient norm; null: off")
    average: float = Field(0.0, ge=0, lt=1, description="decay of averaged weights; 0: off")
    patience: int | None = Field(
        None, ge=1, description="stop after so many epochs without a better validation loss"
    )
    seed: int = Field(0, ge=0, description="of initialisation, order, dropout, augmentation")
    accelerator: str = Field("auto", description="auto, cpu, cuda (Lightning Fabric)")
    precision: str = Field("32-true", description="Lightning Fabric's names")
    threads: int | None = Field(None, ge=1, description="CPU threads; default: torch's choice")
    keep_checkpoints: int = Field(2, ge=1, description="newest checkpoints that stay on disk")
    bad_utterances: Literal["raise", "skip"] = Field(
        "raise", description="what to do with unreadable or infeasible utterances"
    )
    logger: Literal["csv", "tensorboard"] = Field(
        "csv", description="metrics.csv is always written; tensorboard adds event files"
    )


class Config(Options):
    """A whole configuration file. Every section says which component, and with what options."""

    plugins: list[str] = Field(
        default_factory=list, description="local plugin files, relative to the config file"
    )
    frontend: Section
    features: Section
    lattice: Section
    inference: Section = Section(name="exact")
    loss: Section
    training: Training = Training()

    @field_validator("frontend", "features", "lattice", "loss", mode="before")
    @classmethod
    def _name_alone(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("inference", mode="before")
    @classmethod
    def _exact_unless_named(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"name": value}
        # `inference: {beta: 20}` is the short form, and what models before 0.2 have.
        return {"name": "exact", **value} if isinstance(value, dict) else value

    @property
    def reader(self) -> dict[str, Any]:
        """Options of the reader, ``frontend.reader``."""
        value = self.frontend.spec().get("reader", {})
        if not isinstance(value, dict):
            raise ConfigError(f"frontend.reader: a mapping of options is expected (got {value!r})")
        return value

    def spec(self, section: str) -> dict[str, Any]:
        """Name and options of the component of a section."""
        spec = getattr(self, section).spec()
        if section == "frontend":
            spec.pop("reader", None)  # the reader's, not the front-end's
        return spec

    def checked(self) -> Config:
        """Validate every component's options now, before any data is touched.

        Returns this config with the content of the text files that options name in place of
        their paths. Raises :class:`ConfigError` for an unknown component or option.
        """
        registry = get_host().registry
        sections = {}
        for section, kind in SECTIONS.items():
            spec = getattr(self, section).spec()
            options = {k: v for k, v in self.spec(section).items() if k != "name"}
            for key, value in registry.get(kind, spec["name"]).parse(options, section):
                # A path whose type read what is there: a TextFile, or what holds some.
                if isinstance(value, BaseModel) and isinstance(spec.get(key), (str, Path)):
                    spec[key] = value.model_dump()
            sections[section] = Section(**spec)
        return self.model_copy(update=sections)

    def explicit(self) -> dict[str, Any]:
        """The configuration with every option that has a default, to compare two."""
        registry, values = get_host().registry, self.model_dump()
        for section, kind in SECTIONS.items():
            spec = self.spec(section)
            name = spec.pop("name")
            parsed = registry.get(kind, name).parse(spec, section)
            values[section] = {"name": name, **parsed.model_dump()}
        values["frontend"]["reader"] = self.reader
        return values

    def to_yaml(self) -> str:
        """The configuration as YAML text that :func:`load_config` reads back."""
        return yaml.safe_dump(self.model_dump(mode="python"), sort_keys=False, allow_unicode=True)


SECTIONS = {
    "frontend": "frontends",
    "features": "features",
    "lattice": "lattices",
    "inference": "inference",
    "loss": "losses",
}


def parse_config(values: Any, where: str = "") -> Config:
    """Validate a mapping as a :class:`Config`. Raises :class:`ConfigError`."""
    if not isinstance(values, dict):
        raise ConfigError(f"{where or 'config'}: a mapping of sections is expected")
    try:
        # Tuples become lists in YAML; going through it makes a dumped config equal to a read one.
        return validate(Config, values, "")
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}" if where else str(error)) from None


def override(values: dict[str, Any], settings: Iterable[str]) -> dict[str, Any]:
    """Apply ``section.key=value`` settings (values in YAML) to a nested mapping, in place.

    Raises :class:`ConfigError` for a setting without ``=``, or below something with no keys.
    """
    for setting in settings:
        path, value = parse_setting(setting, "section.key=value, e.g. training.epochs=3")
        *parents, key = path.split(".")
        node: Any = values
        for parent in parents:
            if isinstance(node.get(parent), str):  # `loss: nll` is short for {name: nll}
                node[parent] = {"name": node[parent]}
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                raise ConfigError(f"--set {setting!r}: {parent!r} has no keys below it")
        node[key] = value
    return values


def load_config(path: str | Path, settings: Iterable[str] = ()) -> Config:
    """Read a YAML config, apply ``settings``, load its local plugins, and check everything.

    A file may name another as ``base: other.yaml`` (relative to itself): its sections are merged
    over the base's, key by key; a section that changes its component's ``name`` replaces the
    base's section whole.

    Raises:
        ConfigError: unreadable file, unknown key, component or option.
        PluginError: a local plugin is missing or broken.
    """
    path = Path(path)
    config = parse_config(override(_read(path, ()), settings), str(path))
    for plugin in config.plugins:
        get_host().load_file(path.parent / plugin)
    try:
        return config.checked()
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _read(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    if path.resolve() in seen:
        raise ConfigError(f"{path}: its chain of 'base' files comes back to itself")
    if not os.path.exists(path):  # Path.exists raises for a name that is too long
        raise ConfigError(f"{str(path)[:500]}: no such config file")
    values = load_yaml(read_text(path, ConfigError), str(path))
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: a mapping of sections is expected, not {type(values).__name__}")
    base = values.pop("base", None)
    if base is None:
        return values
    if not isinstance(base, str):
        raise ConfigError(f"{path}: 'base' names one config file, not {base!r}")
    return _merge(_read(path.parent / base, (*seen, path.resolve())), values)


def _merge(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        old = base.get(key)
        if (
            isinstance(old, dict)
            and isinstance(value, dict)
            and value.get("name", old.get("name")) == old.get("name")
        ):
            merged[key] = _merge(old, value)
        else:
            merged[key] = value
    return merged
