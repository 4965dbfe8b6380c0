"""Configs: inheritance, overrides, and errors that name the place, the value and the remedy."""

from __future__ import annotations

import math

import pytest

from seqebm.errors import ConfigError, PluginError
from seqebm.models import load_config
from seqebm.models.config import parse_config

BASE = """
frontend: {name: logmel}
features: {name: tdnn, channels: 16}
lattice: {name: templates, count: 2, length: 4}
inference: {beta: .inf}
loss: nll
training: {epochs: 2}
"""


@pytest.fixture
def base(tmp_path):
    path = tmp_path / "base.yaml"
    path.write_text(BASE)
    return path


def test_defaults_and_infinite_beta(base):
    config = load_config(base)
    assert config.inference.beta == math.inf
    assert config.training.batch_size == 64 and config.loss.name == "nll"


def test_dumped_config_reads_back_equal(base, tmp_path):
    import yaml

    config = load_config(base)
    assert parse_config(yaml.safe_load(config.to_yaml())) == config


def test_inheritance_merges_and_replaces(base, tmp_path):
    (tmp_path / "top.yaml").write_text(
        "base: base.yaml\nfeatures: {channels: 32}\nlattice: {name: pooled}\n"
        "loss: {name: hinge, margin: 0.2}\n"
    )
    config = load_config(tmp_path / "top.yaml", ["training.epochs=7", "inference.beta=2.5"])
    assert config.features.spec() == {"name": "tdnn", "channels": 32}
    assert config.lattice.spec() == {"name": "pooled"}, "another component starts afresh"
    assert config.loss.spec() == {"name": "hinge", "margin": 0.2}
    assert (config.training.epochs, config.inference.beta) == (7, 2.5)


def test_base_loop(tmp_path):
    (tmp_path / "a.yaml").write_text("base: b.yaml")
    (tmp_path / "b.yaml").write_text("base: a.yaml")
    with pytest.raises(ConfigError, match="comes back to itself"):
        load_config(tmp_path / "a.yaml")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["training.epoch=3"], r"base.yaml: training.epoch: unknown key. Did you mean 'epochs'"),
        (["lattice.lenght=3"], r"lattice.lenght: unknown key. Did you mean 'length'.*Valid keys:"),
        (["lattice.name=template"], r"no lattice is called 'template'. Did you mean 'templates'"),
        (["loss.name=nnl"], r"no loss is called 'nnl'. Did you mean 'nll'"),
        (["inference.beta=-1"], r"inference.beta: Input should be greater than 0 \(got -1\)"),
        (["training.epochs"], "write section.key=value"),
        (["modle.x=1"], "modle: unknown key"),
        (["lattice.pattern=symetric1"], "symmetric1"),
    ],
)
def test_bad_settings(base, settings, message):
    with pytest.raises(ConfigError, match=message):
        load_config(base, settings)


def test_unreadable_files(tmp_path):
    with pytest.raises(ConfigError, match="no such config file"):
        load_config(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: [1, 2")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_config(tmp_path / "bad.yaml")
    (tmp_path / "list.yaml").write_text("- 1")
    with pytest.raises(ConfigError, match="a mapping of sections"):
        load_config(tmp_path / "list.yaml")
    (tmp_path / "code.yaml").write_text("a: !!python/object/apply:os.system ['true']")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_config(tmp_path / "code.yaml")


def test_local_plugin(base, tmp_path):
    (tmp_path / "plugin.py").write_text(
        "from seqebm import hookimpl\n"
        "@hookimpl\ndef seqebm_register_losses(register):\n"
        "    register('test_config_local', 'seqebm.losses.functionals:Energy')\n"
    )
    base.write_text(BASE.replace("loss: nll", "loss: test_config_local\nplugins: [plugin.py]"))
    assert load_config(base).loss.name == "test_config_local"
    base.write_text(BASE + "\nplugins: [missing.py]")
    with pytest.raises(PluginError, match=r"missing.py does not exist"):
        load_config(base)


def test_base_must_name_a_file(tmp_path):
    (tmp_path / "a.yaml").write_text("base: [b.yaml]")
    with pytest.raises(ConfigError, match=r"a.yaml: 'base' names one config file, not \['b"):
        load_config(tmp_path / "a.yaml")


def test_a_missing_section_is_named_and_nothing_is_dumped(base):
    base.write_text(BASE.replace("loss: nll", ""))
    with pytest.raises(ConfigError) as caught:
        load_config(base)
    assert str(caught.value) == f"{base}: loss: is missing; it has no default."
