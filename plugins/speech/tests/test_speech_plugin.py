from __future__ import annotations

import subprocess
import sys

import pytest
from seqebm_speech import plugin

from seqebm.hooks import Options, PluginHost
from seqebm.hooks.manager import PluginInfo


@pytest.fixture
def registry():
    host = PluginHost(strict=True, load_installed=False)
    host.register(plugin, PluginInfo("speech", "seqebm-speech", "0"))
    return host.registry


def test_every_component_can_be_made(registry):
    names = {(c.kind, c.name) for c in registry.all()}
    assert names == {
        ("readers", "audio"),
        ("readers", "cepstra"),
        ("frontends", "logmel"),
        ("frontends", "mfcc"),
        ("frontends", "cepstra"),
        ("frontends", "encoder"),
        ("preparers", "an4"),
        ("preparers", "fsdd"),
        ("preparers", "dspspeech"),
        ("preparers", "troubles"),
        ("preparers", "yesno"),
        ("preparers", "synthetic_digits"),
        ("preparers", "synthetic_words"),
    }
    needed = {"synthetic_words": {"words": ["yes", "no"]}}
    for component in registry.all():
        if component.name == "encoder":  # wants a real one: tests/test_encoder.py
            continue
        made = component.load()(component.parse(needed.get(component.name, {}), "here"))
        assert callable(made) or made.kind in ("audio", "features")


def test_options_are_documented(registry):
    def check(model: type[Options]) -> None:
        assert model.__doc__
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name}"

    for component in registry.all():
        check(component.options_class())


def test_options_do_not_import_torch():
    code = (
        "import sys, seqebm_speech.plugin, seqebm_speech.options, seqebm_speech.audio, "
        "seqebm_speech.cepstra_options, seqebm_speech.cepstra_reader, seqebm_speech.an4, "
        "seqebm_speech.yesno, seqebm_speech.corpora, seqebm_speech.synthetic; "
        "sys.exit('torch' in sys.modules)"
    )
    path = [p for p in sys.path if p]
    environment = {"PYTHONPATH": ":".join(path), "PATH": "/usr/bin:/bin"}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0
