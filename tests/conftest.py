"""Fixtures: the toy task as data directories, and its configuration."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy import TINY, write_tones

from seqebm.models.config import Config, parse_config


@pytest.fixture(scope="session")
def tones(tmp_path_factory) -> Path:
    """Data directories ``train`` (24 utterances) and ``test`` (9) of the words of SWEEPS."""
    return write_tones(tmp_path_factory.mktemp("tones"))


@pytest.fixture
def tiny() -> Config:
    """The configuration TINY."""
    return parse_config(TINY)
