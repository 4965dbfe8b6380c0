import os
import stat

import pytest

from seqebm.errors import DataError, ModelError
from seqebm.files import write_bytes, write_text


def test_writes_and_replaces(tmp_path):
    path = tmp_path / "a" / "b.txt"
    write_text(path, "é\n")
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(path.parent) == ["b.txt"], "no debris"
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match=r"file/b: could not be written \(.+\): check"):
        write_text(tmp_path / "file" / "b", "x")
    (tmp_path / "directory").mkdir()
    with pytest.raises(ModelError, match=r"directory: could not be written .* Rerun\."):
        write_bytes(tmp_path / "directory", b"x", ModelError, " Rerun.")
    assert sorted(os.listdir(tmp_path)) == ["directory", "file"], "no debris"


def test_an_interrupted_write_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_bytes(tmp_path / "a", b"x")
    assert os.listdir(tmp_path) == []
