from pathlib import Path

import numpy as np
import pytest

from seqebm.data import ReaderPool
from seqebm.data.reader import Reader
from seqebm.errors import DataError


class FakeReader(Reader):
    """Reads raw float32 at 8 kHz; stands in for the speech plugin's reader."""

    kind = "audio"
    suffixes = (".f32",)

    def __init__(self):
        self.reads = []

    def read(self, path, rate, start=None, stop=None, limit=None):
        self.reads.append(Path(path).stem)
        if path.read_bytes()[:3] == b"bad":
            raise DataError(f"{path}: not audio; convert it")
        samples = np.fromfile(path, dtype=np.float32)[start:stop]
        if limit is not None and len(samples) > limit * 8000:
            raise DataError(f"{path}: longer than {limit} s")
        return samples

    def file_rate(self, path):
        return 8000


@pytest.fixture
def reader():
    return FakeReader()


@pytest.fixture
def pool(reader):
    return ReaderPool("audio", [reader])


@pytest.fixture
def make_dir(tmp_path):
    """Write a data directory of given tables, and one 100-sample file for each name in files."""

    def make(files="abc", samples=100, **tables):
        directory = tmp_path / "train"
        directory.mkdir(exist_ok=True)
        for index, name in enumerate(files):
            np.full(samples + index, index, np.float32).tofile(directory / f"{name}.f32")
        tables.setdefault("wav_scp", "".join(f"{name} {name}.f32\n" for name in files))
        for name, content in tables.items():
            data = content if isinstance(content, bytes) else content.encode()
            (directory / name.replace("_scp", ".scp")).write_bytes(data)
        return directory

    return make
