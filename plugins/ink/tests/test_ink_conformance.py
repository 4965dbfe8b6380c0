"""What the plugin registers passes the checks that anybody's plugin does."""

import pytest
import torch

import seqebm
from seqebm.hooks import get_host
from seqebm.testing import assert_sound, check_frontend, check_reader


def make(kind, name, **options):
    return get_host().registry.make(kind, {"name": name, **options}, kind)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Three inks of different lengths."""
    root = tmp_path_factory.mktemp("ink")
    make("preparers", "synthetic_ink", what="words", words=6, train_writers=1, test_writers=1,
         repetitions=1)(root)  # fmt: skip
    return sorted(root.glob("samples/*.json"))[:3] or sorted(root.rglob("*.json"))[:3]


@pytest.mark.parametrize(("name", "options"), [("pen", {"normalisation": "lines"}), ("amap", {})])
def test_frontends(name, options, files):
    frontend = make("frontends", name, **options)
    reader = make("readers", "ink")
    signals = [torch.from_numpy(reader.read(path, frontend.rate)) for path in files]
    assert len(signals) == 3
    assert_sound(check_frontend(lambda: make("frontends", name, **options), signals))


def test_the_reader_of_ink(files, tmp_path):
    reader = make("readers", "ink")
    rate = make("frontends", "pen").rate
    assert_sound(check_reader(reader, files[0], rate, tmp_path))
    assert seqebm.__version__
