from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from seqebm_ink import plugin

from seqebm.data.readers import ReaderPool
from seqebm.hooks import Options, PluginHost
from seqebm.hooks.manager import PluginInfo


@pytest.fixture
def registry():
    host = PluginHost(strict=True, load_installed=False)
    host.register(plugin, PluginInfo("ink", "seqebm-ink", "0"))
    return host.registry


def test_the_reader_can_be_made(registry):
    reader = registry.make("readers", {"name": "ink"}, where="reader")
    assert reader.kind == "ink"
    assert ReaderPool("ink", [reader]).for_path(Path("a.inkml")) is reader


def test_every_component_can_be_made(registry):
    names = {(c.kind, c.name) for c in registry.all()}
    assert names == {
        ("readers", "ink"),
        ("frontends", "pen"),
        ("frontends", "amap"),
        ("preparers", "unipen"),
        ("preparers", "pendigits"),
        ("preparers", "synthetic_ink"),
    }
    for component in registry.all():
        module = component.source.partition(":")[0]
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not there yet")
        made = component.load()(component.parse({}, "here"))
        assert callable(made) or made.kind == "ink"


def test_options_are_documented(registry):
    def check(model: type[Options]) -> None:
        assert model.__doc__
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name}"

    for component in registry.all():
        check(component.options_class())


def test_options_and_readers_do_not_import_torch():
    code = (
        "import sys, seqebm_ink.plugin, seqebm_ink.options, seqebm_ink.reader; "
        "sys.exit('torch' in sys.modules)"
    )
    path = [p for p in sys.path if p]
    environment = {"PYTHONPATH": ":".join(path), "PATH": "/usr/bin:/bin"}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0
