"""Finds plugins, keeps broken ones from taking the program down, and fills the registry."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import inspect
import logging
import os
import sys
import traceback
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Any

import pluggy
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from seqebm.errors import PluginError, SeqebmError
from seqebm.hooks import hookspecs
from seqebm.hooks.registry import KINDS, Component, Registry

logger = logging.getLogger(__name__)
ENTRY_POINT_GROUP = "seqebm"


@dataclass
class PluginInfo:
    """What is known of one plugin; ``error`` is set if it could not be used."""

    name: str
    distribution: str
    version: str
    error: str | None = None
    hooks: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"plugin {self.name!r} ({self.distribution} {self.version})"


class PluginHost:
    """The pluggy manager, the registry and the list of plugins met.

    A plugin that raises on import (or ends the program there), implements a hook that does not
    exist, adds commands that cannot be made, or needs another version of seqebm
    (``SEQEBM_REQUIRES = ">=0.2"`` in its module) is recorded with its error and skipped; with
    ``strict=True`` it raises :class:`PluginError`. One that fails later, at an event, raises
    :class:`PluginError`, which names plugin and hook. Two plugins that register one name raise in
    either case, since which one is meant cannot be guessed.
    ``disabled`` plugins are listed, and not imported.
    """

    def __init__(
        self, strict: bool = False, load_installed: bool = True, disabled: Collection[str] = ()
    ) -> None:
        self.strict, self.disabled = strict, frozenset(disabled)
        self.manager = pluggy.PluginManager("seqebm")
        self.manager.add_hookspecs(hookspecs)
        self.manager.add_hookcall_monitoring(lambda *call: None, self._name_the_one_that_failed)
        self.registry = Registry()
        self.plugins: list[PluginInfo] = []
        if load_installed:
            self._load_entry_points()

    @property
    def hook(self) -> Any:
        """Call hooks by name: ``host.hook.seqebm_epoch_end(epoch=..., ...)``."""
        return self.manager.hook

    def _load_entry_points(self) -> None:
        # The core goes first, so that a name it owns is never attributed to a latecomer.
        entries = sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda e: e.name != "core")
        unknown = sorted(self.disabled - {entry.name for entry in entries})
        if unknown:
            known = ", ".join(entry.name for entry in entries)
            raise PluginError(
                f"SEQEBM_DISABLE_PLUGINS names {', '.join(unknown)}; the installed plugins are "
                f"{known}"
            )
        for entry in entries:
            info = PluginInfo(
                entry.name,
                entry.dist.name if entry.dist else "?",
                entry.dist.version if entry.dist else "?",
            )
            if entry.name in self.disabled:
                info.error = "disabled by SEQEBM_DISABLE_PLUGINS"
                self.plugins.append(info)
                continue
            try:
                plugin = entry.load()
            except BaseException as error:  # sys.exit() too
                self._broken(info, _reason(error))
                continue
            self.register(plugin, info)

    def register(self, plugin: Any, info: PluginInfo) -> None:
        """Register a plugin object (usually a module) under ``info``."""
        for other in self.plugins:
            if other.name == info.name and other.error is None:
                self._broken(info, f"its name is already registered, by {other.distribution}")
                return
        try:
            _check_decorated(plugin)
            _check_version(plugin)
            self.manager.register(plugin, name=info.name)  # checks the arguments of its hooks
            self.manager.check_pending()  # a hookimpl without a specification
            info.hooks = sorted(c.name for c in self.manager.get_hookcallers(plugin) or [])
            for kind in KINDS:
                self._collect(plugin, kind, info)
        except BaseException as error:
            self._forget(info)
            if isinstance(error, PluginError):
                raise
            self._broken(info, _reason(error))
            return
        self.plugins.append(info)

    def add_commands(self, app: Any) -> None:
        """Add the plugins' commands to the program, a :class:`typer.Typer`."""
        from typer.main import get_command

        for info in list(self.plugins):
            plugin = self.manager.get_plugin(info.name)
            implementation = getattr(plugin, "seqebm_register_commands", None)
            if info.error is not None or implementation is None:
                continue
            own = type(app)()
            try:
                implementation(app=own)
                if own.registered_commands or own.registered_groups:
                    get_command(own)  # here the arguments of its commands are looked at
            except BaseException as error:
                self._forget(info)
                self._broken(info, f"in seqebm_register_commands: {_reason(error)}")
                continue
            app.registered_commands += own.registered_commands
            app.registered_groups += own.registered_groups

    def _name_the_one_that_failed(
        self, outcome: Any, hook: str, implementations: Sequence[pluggy.HookImpl], arguments: Any
    ) -> None:
        error = outcome.exception
        if error is None or isinstance(error, KeyboardInterrupt):
            return
        ran = {frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)}
        names = [
            i.plugin_name for i in implementations if getattr(i.function, "__code__", None) in ran
        ]
        infos = [info for info in self.plugins if info.name in names]
        who = str(infos[0]) if infos else "a plugin"
        named = PluginError(f"{who} failed in {hook}: {_reason(error)}; mend it, or leave it out")
        named.__cause__ = error
        outcome.force_exception(named)

    def _forget(self, info: PluginInfo) -> None:
        # Whole or not at all: nothing of a plugin that failed halfway may stay behind.
        if self.manager.has_plugin(info.name):
            self.manager.unregister(name=info.name)
        self.registry.remove_plugin(info.name)

    def _collect(self, plugin: Any, kind: str, info: PluginInfo) -> None:
        def register(name: str, factory: Any, options: Any = None) -> None:
            self.registry.add(Component(kind, name, factory, options, info.name, info.distribution))

        implementation = getattr(plugin, f"seqebm_register_{kind}", None)
        if implementation is not None:
            implementation(register=register)

    def _broken(self, info: PluginInfo, error: str) -> None:
        info.error = error
        if not any(info is known for known in self.plugins):
            self.plugins.append(info)
        message = f"{info} is broken: {error}"
        if self.strict:
            raise PluginError(f"{message}. Mend or uninstall {info.distribution}.")
        logger.warning("%s; it is skipped (--strict-plugins makes this fatal)", message)

    def load_file(self, path: str | os.PathLike[str]) -> None:
        """Load a recipe-local plugin, one Python file. Loading the same file twice is harmless.

        Raises :class:`PluginError` if it is missing or fails: somebody asked for this one.
        """
        path = Path(path).resolve()
        name = f"local:{path}"
        if self.manager.has_plugin(name):
            return
        if not path.is_file():
            raise PluginError(f"local plugin {path} does not exist; correct 'plugins' or --plugin")
        module_name = f"seqebm_local_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
        spec = importlib.util.spec_from_file_location(module_name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        before, self.strict = self.strict, True
        try:
            spec.loader.exec_module(module)
            self.register(module, PluginInfo(name, path.name, "local"))
        except PluginError:
            raise
        except BaseException as error:
            raise PluginError(f"local plugin {path} failed: {_reason(error)}") from error
        finally:
            self.strict = before


def _reason(error: BaseException) -> str:
    return str(error) if isinstance(error, SeqebmError) else f"{type(error).__name__}: {error}"


def _check_decorated(plugin: Any) -> None:
    """A hook whose decorator was forgotten would be ignored without a word: refuse it."""
    for name in dir(plugin):
        if not name.startswith("seqebm_"):
            continue
        function = getattr(plugin, name)
        if inspect.isroutine(function) and not hasattr(function, "seqebm_impl"):
            raise TypeError(f"{name} lacks the decorator @seqebm.hookimpl")


def _check_version(plugin: Any) -> None:
    """A plugin may say which versions of seqebm it works with."""
    wanted = getattr(plugin, "SEQEBM_REQUIRES", None)
    if wanted is None:
        return
    own = version("seqebm")
    try:
        fits = SpecifierSet(wanted).contains(own, prereleases=True)
    except InvalidSpecifier:
        raise ValueError(
            f"SEQEBM_REQUIRES is {wanted!r}, no version specifier like '>=0.1'"
        ) from None
    if not fits:
        raise RuntimeError(f"it requires seqebm {wanted}, this is {own}; upgrade one of them")


@functools.cache
def _default_host() -> PluginHost:
    names = os.environ.get("SEQEBM_DISABLE_PLUGINS", "").replace(",", " ").split()
    strict = os.environ.get("SEQEBM_STRICT_PLUGINS", "") not in ("", "0")
    return PluginHost(strict=strict, disabled=names)


def get_host() -> PluginHost:
    """The host of this process, with all installed plugins loaded (once)."""
    return _default_host()
