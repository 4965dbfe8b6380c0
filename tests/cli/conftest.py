"""Fixtures of the commands: a model of word strings, trained on the toy task of phrases."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from phrases import PHRASES, write_phrases

from seqebm.models.config import parse_config
from seqebm.training import train


@pytest.fixture(scope="session")
def phrases(tmp_path_factory) -> Path:
    """Data directories ``train`` and ``test``, and the model ``exp`` of the first."""
    root = write_phrases(tmp_path_factory.mktemp("phrases"))
    (root / "c.yaml").write_text(yaml.safe_dump(PHRASES))
    train(parse_config(PHRASES), root / "train", root / "exp")
    return root
