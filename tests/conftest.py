"""Fixtures: the toy tasks as data directories, a configuration, a model of word strings."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from phrases import PHRASES, write_phrases
from toy import TINY, write_tones

from seqebm.models.config import Config, parse_config
from seqebm.training import train


@pytest.fixture(scope="session")
def tones(tmp_path_factory) -> Path:
    """Data directories ``train`` (24 utterances) and ``test`` (9) of the words of SWEEPS."""
    return write_tones(tmp_path_factory.mktemp("tones"))


@pytest.fixture
def tiny() -> Config:
    """The configuration TINY."""
    return parse_config(TINY)


@pytest.fixture(scope="session")
def phrases(tmp_path_factory) -> Path:
    """Data directories ``train`` and ``test``, and the model ``exp`` of the first."""
    root = write_phrases(tmp_path_factory.mktemp("phrases"))
    (root / "c.yaml").write_text(yaml.safe_dump(PHRASES))
    train(parse_config(PHRASES), root / "train", root / "exp")
    return root
