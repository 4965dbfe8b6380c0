"""Compiled functions on disk: damage, places that cannot be written, and what is said of it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from seqebm import compiled

SOURCE = """
from seqebm.compiled import compiled

@compiled(nogil=True)
def twice(x):
    return 2 * x
"""
#: What it prints: the answer, what came from disk, and where it is kept.
ASK = """
import logging, sys
logging.basicConfig(level=logging.INFO)
from kept import twice
from seqebm.compiled import places
print(twice(21), sum(twice.stats.cache_hits.values()), *places)
"""


@pytest.fixture
def place(tmp_path) -> Path:
    (tmp_path / "kept.py").write_text(SOURCE)
    (tmp_path / "temporary").mkdir()
    return tmp_path


def ask(place: Path, **environment: str) -> tuple[list[str], str]:
    """The words printed, and stderr."""
    own = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
    own |= {"PYTHONPATH": f"{Path(compiled.__file__).parents[1]}:{place}", "PYTHONSAFEPATH": "1"}
    own |= {
        "TMPDIR": str(place / "temporary"),
        "HOME": str(place / "kept.py" / "home"),
        **environment,
    }
    own.pop("XDG_CACHE_HOME", None)
    result = subprocess.run(
        [sys.executable, "-c", ASK], env=own, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.split(), result.stderr


def test_a_function_is_kept(place):
    cache = str(place / "__pycache__")
    assert ask(place) == (["42", "0", cache], "")
    assert ask(place) == (["42", "1", cache], "")


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 16]) + data[at + 1 :]


DAMAGES = {
    "empty": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "a byte short": lambda data: data[:-1],
    "a bit in front": lambda data: flip(data, 3),
    "a bit in the middle": lambda data: flip(data, len(data) // 2),
    "a bit at the end": lambda data: flip(data, -1 + len(data)),
    "longer": lambda data: data + b"more",
    "something else": lambda data: os.urandom(len(data)),
    "text": lambda data: b"no cache\n",
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The module with its files on disk, as it should be."""
    place = tmp_path_factory.mktemp("whole")
    (place / "kept.py").write_text(SOURCE)
    (place / "temporary").mkdir()
    ask(place)
    return place


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_damaged_files_count_as_missing(whole, suffix, monkeypatch):
    """Loading damaged machine code would end the process."""
    monkeypatch.syspath_prepend(whole)
    monkeypatch.delitem(sys.modules, "kept", raising=False)
    import kept

    (path,) = (whole / "__pycache__").glob(f"*.{suffix}")
    good = path.read_bytes()
    for name, damage in DAMAGES.items():
        path.write_bytes(damage(good))
        fresh = compiled.compiled(nogil=True)(kept.twice.py_func)
        assert fresh(21) == 42, name
        assert not fresh.stats.cache_hits, name
        assert path.read_bytes() not in (b"", damage(good)), name
    again = compiled.compiled(nogil=True)(kept.twice.py_func)
    assert again(21) == 42
    assert again.stats.cache_hits, "what was compiled anew is kept"


def test_damage_in_a_process_of_its_own(place):
    ask(place)
    for path in (place / "__pycache__").glob("*.nb[ic]"):
        path.write_bytes(path.read_bytes()[:-100])
    assert ask(place)[0][:2] == ["42", "0"]
    assert ask(place)[0][:2] == ["42", "1"]


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_a_directory_in_the_place_of_a_file(place, suffix):
    ask(place)
    (path,) = (place / "__pycache__").glob(f"*.{suffix}")
    path.unlink()
    path.mkdir()
    words, said = ask(place)
    assert words[:2] == ["42", "0"]
    assert f"{path.name}: Is a directory" in said and "NUMBA_CACHE_DIR" in said


def test_the_data_of_another_key_are_not_taken(place, monkeypatch):
    """As when two processes save at once."""
    files = compiled._Files(str(place), "f", b"stamp")
    files.save("one", [1])
    assert files.load("one") == [1]
    other = compiled._Files(str(place), "f", b"stamp")
    other._save_index({"two": other._data_name(1)})
    assert other.load("two") is None
    assert compiled._Files(str(place), "f", b"another source").load("two") is None


def test_a_package_that_cannot_be_written(place):
    """Nor HOME, nor the directory that is asked for."""
    (place / "__pycache__").write_text("a file")
    temporary = place / "temporary" / compiled.temporary().name
    for wanted in ("", "/proc/nope", str(place / "kept.py" / "x")):
        words, said = ask(place, NUMBA_CACHE_DIR=wanted)
        assert words[0] == "42" and Path(words[2]).parent == temporary and not said
    assert words[1] == "1"
    assert temporary.stat().st_mode & 0o777 == 0o700
    words, _ = ask(place, NUMBA_CACHE_DIR=str(place / "mine"))
    assert Path(words[2]).parent == place / "mine"


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize("wrong", ["a file", "a link", "others may write", "of somebody else"])
def test_a_temporary_directory_that_is_not_ours_alone(place, wrong):
    (place / "__pycache__").write_text("a file")
    temporary = place / "temporary" / compiled.temporary().name
    if wrong == "a file":
        temporary.write_text("")
    elif wrong == "a link":
        (place / "elsewhere").mkdir()
        temporary.symlink_to(place / "elsewhere")
    else:
        temporary.mkdir()
        temporary.chmod(0o777 if wrong == "others may write" else 0o700)
    if wrong == "of somebody else":
        if os.getuid() != 0:
            pytest.skip("only root can give a directory away")
        os.chown(temporary, 12345, 12345)
    words, said = ask(place)
    assert words == ["42", "0", "None"]
    assert said.count("cannot be kept") == 1 and "set NUMBA_CACHE_DIR" in said
    assert not list(temporary.iterdir() if temporary.is_dir() else ())


def test_a_full_disk_costs_only_time(place, monkeypatch, caplog):
    monkeypatch.syspath_prepend(place)
    monkeypatch.delitem(sys.modules, "kept", raising=False)
    import kept

    def full(*args):
        raise OSError(28, "No space left on device", "/full/x.nbc")

    monkeypatch.setattr(compiled, "places", set())
    monkeypatch.setattr(compiled._Files, "save", full)
    assert kept.twice(21) == 42 and kept.twice(2.5) == 5.0
    (record,) = caplog.records
    assert "/full/x.nbc: No space left on device" in record.getMessage()


def test_long_compiling_is_said_once(monkeypatch, caplog):
    patience = compiled._Patience()
    monkeypatch.setattr(compiled, "places", set())
    monkeypatch.setattr(compiled, "PATIENCE", 0.0)

    compiling = SimpleNamespace(data={"dispatcher": patience})
    with caplog.at_level(logging.INFO):
        patience.on_start(compiling)  # not one of ours
        assert patience.timer is None
        monkeypatch.setattr(compiled, "_ours", {id(patience)})
        for _ in range(2):
            patience.on_start(compiling)
            patience.timer.join()
            patience.on_end(compiling)
    (record,) = caplog.records
    assert "compiling kernels for this machine, kept for later runs" in record.getMessage()


def test_short_compiling_is_not_worth_a_word(place):
    assert ask(place)[1] == ""
