import logging
from pathlib import Path

import pytest

from seqebm.data import readers
from seqebm.data.reader import Reader
from seqebm.data.readers import ReaderPool
from seqebm.errors import DataError
from seqebm.hooks import PluginHost, hookimpl
from seqebm.hooks.manager import PluginInfo


def reader_class(kind_, *suffixes_):
    class Fake(Reader):
        kind = kind_
        suffixes = suffixes_

        def __init__(self, options):
            pass

        def read(self, path, rate, start=None, stop=None, limit=None):
            return None

    return Fake


@pytest.fixture
def host(monkeypatch):
    host = PluginHost(load_installed=False)
    monkeypatch.setattr(readers, "get_host", lambda: host)
    return host


def register(host, **classes):
    class Plugin:
        @staticmethod
        @hookimpl
        def seqebm_register_readers(register):
            for name, factory in classes.items():
                register(name, factory)

    host.register(Plugin, PluginInfo("test", "test-dist", "1"))


def test_the_reader_is_chosen_by_kind_and_ending(host):
    wav, flac, ink = (
        reader_class("audio", ".wav"),
        reader_class("audio", ".flac"),
        reader_class("ink", ".wav"),
    )
    register(host, a=wav, b=flac, c=ink)
    pool = ReaderPool("audio")
    assert type(pool.for_path(Path("x.FLAC"))) is flac
    assert type(pool.for_path(Path("x.wav"))) is wav
    assert type(pool.for_path(Path("x.unknown"))) is wav
    assert type(ReaderPool("ink").for_path(Path("x.wav"))) is ink


def test_no_reader_names_the_remedy(host):
    with pytest.raises(DataError, match="pip install -e plugins/speech"):
        ReaderPool("audio")


def test_a_broken_reader_does_not_block_the_others(host, caplog):
    register(host, a=reader_class("audio", ".wav"), b="no_such_module_at_all:Reader")
    with caplog.at_level(logging.WARNING):
        assert len(ReaderPool("audio").readers) == 1
    assert "no_such_module_at_all" in caplog.text


def test_a_reader_that_cannot_tell_the_rate(host):
    register(host, a=reader_class("audio", ".wav"))
    with pytest.raises(DataError, match="cannot tell"):
        ReaderPool("audio").file_rate(Path("x.wav"))
