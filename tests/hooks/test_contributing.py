"""The plugin shown in README and CONTRIBUTING works, is one, and is sound."""

import math
import re
from pathlib import Path

import pytest
import torch

from seqebm.errors import ConfigError
from seqebm.hooks import PluginHost, Terms
from seqebm.testing import assert_sound, check_loss

ROOT = Path(__file__).parents[2]


def plugin_of(document):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / document).read_text("utf-8"), re.S)
    (found,) = [block for block in blocks if "seqebm_register_losses" in block]
    return found


def test_the_documents_show_one_plugin():
    assert plugin_of("README.md") == plugin_of("CONTRIBUTING.md")


def test_the_plugin_of_the_documents(tmp_path):
    (tmp_path / "plugin.py").write_text(plugin_of("README.md"))
    host = PluginHost(load_installed=False)
    host.load_file(tmp_path / "plugin.py")
    loss = host.registry.make("losses", {"name": "squared_hinge", "margin": 2}, "loss")
    assert_sound(check_loss(loss))
    correct, offending = torch.tensor([1.0, 1.0]), torch.tensor([2.0, 5.0])
    terms = Terms(correct=correct, contrastive=correct, offending=offending, beta=math.inf)
    assert loss(terms).tolist() == [1, 0]
    with pytest.raises(ConfigError, match="Did you mean 'margin'"):
        host.registry.make("losses", {"name": "squared_hinge", "margn": 2}, "loss")
