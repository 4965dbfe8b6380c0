"""The plugin shown in CONTRIBUTING.md works."""

import math
import re
from pathlib import Path

import pytest
import torch

from seqebm.errors import ConfigError
from seqebm.hooks import PluginHost, Terms

DOCUMENT = Path(__file__).parents[2] / "CONTRIBUTING.md"


def test_the_plugin_of_the_document(tmp_path):
    source = re.search(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.S)
    (tmp_path / "plugin.py").write_text(source[1])
    host = PluginHost(load_installed=False)
    host.load_file(tmp_path / "plugin.py")
    loss = host.registry.make("losses", {"name": "squared_hinge", "margin": 2}, "loss")
    correct, offending = torch.tensor([1.0, 1.0]), torch.tensor([2.0, 5.0])
    terms = Terms(correct=correct, contrastive=correct, offending=offending, beta=math.inf)
    assert loss(terms).tolist() == [1, 0]
    with pytest.raises(ConfigError, match="Did you mean 'margin'"):
        host.registry.make("losses", {"name": "squared_hinge", "margn": 2}, "loss")
