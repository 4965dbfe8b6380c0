"""Named components of each kind, with their typed options."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from seqebm.errors import ConfigError, PluginError, SeqebmError, did_you_mean

# kind -> what one of it is called in messages
KINDS = {
    "readers": "reader",
    "frontends": "front-end",
    "features": "feature extractor",
    "lattices": "lattice",
    "inference": "way to search",
    "losses": "loss",
    "preparers": "preparer",
    "exporters": "exporter",
}

_QUOTED = 200  # characters of a wrong value that a message shows


class Options(BaseModel):
    """Base of every component's options: unknown keys are errors, defaults are validated."""

    model_config = ConfigDict(extra="forbid", validate_default=True, frozen=True)


def _resolve(target: Any) -> Any:
    """Import ``"module:attribute"``; anything else is returned as it is."""
    if not isinstance(target, str):
        return target
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


@dataclass(frozen=True)
class Component:
    """One registered name: who registered it and how to make it."""

    kind: str
    name: str
    factory: Callable[..., Any] | str
    options: type[Options] | str | None
    plugin: str
    distribution: str

    @property
    def source(self) -> str:
        """Where the factory is, as ``module:attribute``."""
        if isinstance(self.factory, str):
            return self.factory
        return f"{self.factory.__module__}:{getattr(self.factory, '__qualname__', '?')}"

    def load(self) -> Callable[..., Any]:
        """Import the factory."""
        return self._import(self.factory)

    def options_class(self) -> type[Options]:
        """The options model of this component."""
        if self.options is not None:
            return self._import(self.options)
        return getattr(self.load(), "Options", Options)

    def _import(self, target: Any) -> Any:
        try:
            return _resolve(target)
        except (Exception, SystemExit) as error:
            raise self._fault("cannot be imported", error) from error

    def parse(self, values: dict[str, Any], where: str) -> Options:
        """Validate ``values``; ``where`` names the place in the config for messages.

        Raises :class:`ConfigError`, or :class:`PluginError` if the options' own code fails.
        """
        options = self.options_class()
        try:
            return validate(options, values, where)
        except SeqebmError:
            raise
        except (Exception, SystemExit) as error:
            raise self._fault("cannot check its options", error) from error

    def make(self, options: Options, **context: Any) -> Any:
        """Make it. Raises :class:`PluginError` if the factory raises what is no seqebm error."""
        factory = self.load()
        try:
            return factory(options, **context)
        except SeqebmError:
            raise
        except (Exception, SystemExit) as error:
            raise self._fault("cannot be made", error) from error

    def _fault(self, what: str, error: BaseException) -> PluginError:
        return PluginError(
            f"{KINDS[self.kind]} {self.name!r} of plugin {self.plugin!r} ({self.distribution}) "
            f"{what}: {type(error).__name__}: {error}"
        )


def validate(model: type[BaseModel], values: Any, where: str) -> Any:
    """Validate ``values`` as ``model``, turning every fault into one :class:`ConfigError`.

    An unknown key is answered with the nearest valid one and the list of all of them.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        lines = []
        for fault in error.errors():
            location = [str(part) for part in fault["loc"]]
            place = ".".join([where, *location]) if where else ".".join(location)
            if fault["type"] == "extra_forbidden":
                valid = sorted(_fields_at(model, location[:-1]))
                lines.append(
                    f"{place}: unknown key.{did_you_mean(location[-1], valid)} "
                    f"Valid keys: {', '.join(valid) or 'none'}."
                )
            elif fault["type"] == "missing":  # its input is all that surrounds it
                lines.append(f"{place}: is missing; it has no default.")
            else:
                reason = fault["msg"].removeprefix("Value error, ")
                lines.append(f"{place}: {reason} (got {repr(fault['input'])[:_QUOTED]}).")
        raise ConfigError("\n".join(lines)) from None


def _fields_at(model: type[BaseModel], path: list[str]) -> list[str]:
    """Names of the fields of the (nested) model found at ``path`` below ``model``."""
    for part in path:
        field = model.model_fields.get(part)
        annotation = field.annotation if field else None
        candidates = [annotation, *getattr(annotation, "__args__", ())]
        nested = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        if not nested:
            return []
        model = nested[0]
    return list(model.model_fields)


class Registry:
    """All components, by kind and name."""

    def __init__(self) -> None:
        self._components: dict[str, dict[str, Component]] = {kind: {} for kind in KINDS}

    def add(self, component: Component) -> None:
        """Add a component. Raises :class:`PluginError` if the name is taken, naming both."""
        table = self._components[component.kind]
        if other := table.get(component.name):
            raise PluginError(
                f"two plugins register the {KINDS[component.kind]} {component.name!r}: "
                f"{other.plugin!r} ({other.distribution}) and "
                f"{component.plugin!r} ({component.distribution}). "
                "Uninstall one of them, or ask its author for another name."
            )
        table[component.name] = component

    def remove_plugin(self, plugin: str) -> None:
        """Forget everything that ``plugin`` registered."""
        for table in self._components.values():
            for name in [n for n, c in table.items() if c.plugin == plugin]:
                del table[name]

    def names(self, kind: str) -> list[str]:
        """Registered names of a kind, sorted."""
        return sorted(self._components[kind])

    def all(self) -> list[Component]:
        """Every component, by kind and name."""
        return [t[name] for t in self._components.values() for name in sorted(t)]

    def get(self, kind: str, name: str) -> Component:
        """Look a component up. Raises :class:`ConfigError` naming the valid ones."""
        table = self._components[kind]
        if name not in table:
            raise ConfigError(
                f"no {KINDS[kind]} is called {name!r}."
                f"{did_you_mean(name, table)} Registered: {', '.join(sorted(table)) or 'none'}. "
                "'seqebm plugins' lists what each installed plugin brings."
            )
        return table[name]

    def make(self, kind: str, spec: dict[str, Any], where: str, **context: Any) -> Any:
        """Make the component that ``spec`` (``{"name": ..., **options}``) describes."""
        values = dict(spec)
        name = values.pop("name", None)
        if not isinstance(name, str):
            raise ConfigError(f"{where}.name: missing. Choose one of {self.names(kind)}.")
        component = self.get(kind, name)
        options = component.parse(values, where)
        return component.make(options, **context)
