"""Archives: what is unpacked, and that none can exhaust the machine."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import time
import tracemalloc

import numpy as np
import pytest

from seqebm.data import archives
from seqebm.data.archives import unpack
from seqebm.errors import DataError


def member(name, data=b"", **fields):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def tar(*members, form=tarfile.PAX_FORMAT):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


def header(kind, body):
    """An extended header, as tarfile would not write it."""
    info = tarfile.TarInfo("././@LongLink" if kind in (b"L", b"K") else "pax")
    info.type, info.size = kind, len(body)
    return info.tobuf(tarfile.USTAR_FORMAT) + body + b"\0" * (-len(body) % 512)


@pytest.fixture
def unpacked(tmp_path):
    def make(data, suffix=".tar"):
        path = tmp_path / f"a{suffix}"
        path.write_bytes(data)
        place = tmp_path / "out"
        count = unpack(path, place, lambda name: name.rsplit("/", 1)[-1], "corpus")
        return count, {p.name: p.read_bytes() for p in place.iterdir()}

    return make


@pytest.fixture
def refused(unpacked, tmp_path):
    """``refused(data, *words)``: the message, after little time and memory."""

    def make(data, *words, suffix=".tar"):
        began = time.process_time()
        tracemalloc.start()
        try:
            with pytest.raises(DataError) as caught:
                unpacked(data, suffix)
            assert tracemalloc.get_traced_memory()[1] < 100e6
        finally:
            tracemalloc.stop()
        assert time.process_time() - began < 20
        message = str(caught.value)
        assert message.startswith(f"corpus: {tmp_path / 'a'}{suffix} ") and "\n" not in message
        for word in words:
            assert word in message
        return message

    return make


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_every_form_is_unpacked(unpacked, pack, form):
    long = "d" * 90 + "/" + "n" * 99
    noise = np.random.default_rng(0).bytes(100_000)
    data = tar(member("x/a.wav", noise), member(long, b"1"), member("empty"), form=form)
    assert unpacked(pack(data)) == (3, {"a.wav": noise, "n" * 99: b"1", "empty": b""})


def test_links_sparse_and_large_files_are_left_out(unpacked, monkeypatch):
    monkeypatch.setattr(archives, "LARGEST", 1000)
    link = member("link", type=tarfile.SYMTYPE, linkname="/etc/passwd")
    sparse = member("s", b"1\n0\n1\n" + b"\0" * 600, pax_headers={
        "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "s",
        "GNU.sparse.realsize": "900",
    })  # fmt: skip
    data = tar(link, sparse, member("large", b"x" * 1001), member("good", b"x"))
    assert unpacked(data) == (1, {"good": b"x"})


@pytest.mark.parametrize("kind", [b"L", b"K", b"x", b"g"])
def test_a_header_of_megabytes_is_not_read(refused, kind):
    body = b"n" * 60_000_000 if kind in b"LK" else b"60000000 a=" + b"n" * 59_999_989
    refused(gzip.compress(header(kind, body) + tar(member("a"))), "name or header", "16,384 bytes")


@pytest.mark.parametrize("kind", [b"L", b"x", b"g"])
def test_a_chain_of_headers_ends(refused, kind):
    body = b"n" * 600 if kind == b"L" else b"9 a=bcde\n" * 60
    refused(gzip.compress(header(kind, body) * 5000 + tar(member("a"))))


def test_headers_for_all_that_follows_do_not_add_up(refused):
    records = [b"".join(b"17 k%07d=abcd\n" % k for k in range(n, n + 90)) for n in (0, 300)]
    pieces = [header(b"g", body) + tar(member("a"))[:512] for body in records]
    refused(gzip.compress(b"".join(pieces)), "more than 100 headers")


def test_headers_that_take_long_to_parse(refused, monkeypatch):
    monkeypatch.setattr(archives, "MOST_HEADERS", 1_000_000)
    one = header(b"x", b"2 " * 4000 + b"=\n") + tar(member("a"))[:512]
    refused(gzip.compress(one * 500), "too many long names or headers")


def test_a_size_below_zero_does_not_go_round_in_circles(refused):
    backwards = header(b"x", b"15 size=-2048\n\0")
    refused(gzip.compress(tar(member("b"))[:512] * 9 + backwards + tar(member("a"))))


def test_an_archive_that_grows_without_measure(refused, monkeypatch):
    monkeypatch.setattr(archives, "GROWS_FREELY", 5_000_000)
    data = tar(*(member(f"{k}", b"\0" * 1_000_000) for k in range(20)))
    refused(gzip.compress(data), "unpacks to more than 5,000,000 bytes", "set 'source'")
    # Also where no file of it is wanted.
    with_large = tar(member("large", b"\0" * 20_000_000), member("a"))
    monkeypatch.setattr(archives, "LARGEST", 1_000_000)
    refused(gzip.compress(with_large), "unpacks to more than")


def test_files_without_number(refused, monkeypatch):
    monkeypatch.setattr(archives, "MOST_FILES", 50)
    refused(tar(*(member(f"{k}") for k in range(60))), "more than 50 files")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_damage_names_the_archive(refused, share):
    data = gzip.compress(tar(member("a", np.random.default_rng(0).bytes(100_000))))
    refused(data[: int(share * len(data))], "cut short", "fetch it again")
    refused(b"\x1f\x8b" + data[100:], "no readable archive")
    refused(b"hello world\n" * 100)
    refused(b"")
