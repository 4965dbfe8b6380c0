"""The program where little is as it is with us: other encodings, no terminal, no HOME, no room."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import seqebm

PACKAGE = Path(seqebm.__file__).parent
NAME = "ünï 語\x1b[31m.wav"  # neither ASCII nor cp1252, and an order to the terminal
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2


def run(*arguments: object, cwd: Path, root_obeys: bool = False, **environment: str):
    """``seqebm`` with no variables but PATH and these; no terminal anywhere."""
    return subprocess.run(
        [sys.executable, "-m", "seqebm", *map(str, arguments)],
        capture_output=True, timeout=300, stdin=subprocess.DEVNULL, cwd=cwd,
        env={"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", **environment},
        preexec_fn=obey_permissions if root_obeys else None,
    )  # fmt: skip


def obey_permissions() -> None:
    """For root, too, a directory that may not be written may not be written."""
    libc = ctypes.CDLL(None)
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


@pytest.fixture(scope="module")
def wav(phrases, tmp_path_factory) -> Path:
    source = next((phrases / "wav").glob("test-*"))
    return Path(shutil.copy(source, tmp_path_factory.mktemp("ünï") / NAME))


@pytest.fixture(scope="module")
def wanted(phrases, wav, tmp_path_factory) -> str:
    """The answer, in the environment of these tests."""
    result = run("decode", "--model", phrases / "exp", wav, "--json", cwd=wav.parent, **os.environ)
    assert result.returncode == 0, result.stderr
    text = json.loads(result.stdout)["text"]
    assert isinstance(text, str) and text
    return text


def check(result, encoding: str, wav: Path, wanted: str) -> None:
    assert result.returncode == 0, result.stderr
    (line,) = result.stdout.decode(encoding).splitlines()
    answer = json.loads(line)
    assert answer["id"] == str(wav) and answer["text"] == wanted
    assert b"\x1b" not in result.stdout and b"unexpected" not in result.stderr


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_stdout_of_another_encoding(phrases, wav, wanted, encoding):
    decode = ("decode", "--model", phrases / "exp", wav)
    result = run(*decode, "--json", cwd=wav.parent, PYTHONIOENCODING=encoding)
    check(result, encoding, wav, wanted)
    result = run(*decode, cwd=wav.parent, PYTHONIOENCODING=encoding)
    assert result.returncode == 0, result.stderr
    table = result.stdout.decode(encoding)
    assert wanted in table and "\x1b" not in table and r"\u001b[31m.wav" in table


def test_the_c_locale_no_home_and_a_directory_that_may_not_be_written(
    phrases, wav, wanted, tmp_path
):
    place = tmp_path / "locked"
    place.mkdir()
    place.chmod(0o500)
    result = run(
        "decode", "--model", phrases / "exp", wav, "--json",
        cwd=place, root_obeys=True, LC_ALL="C", HOME="/dev/null/home", PYTHONCOERCECLOCALE="0",
    )  # fmt: skip
    check(result, "utf-8" if b"\xc3" in result.stdout else "ascii", wav, wanted)
    assert not list(place.iterdir())


def test_relative_names_go_by_the_directory(phrases, wav, wanted):
    model = os.path.relpath(phrases / "exp", wav.parent)
    result = run("decode", "--model", model, NAME, "--json", cwd=wav.parent)
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout)
    assert answer["id"] == NAME and answer["text"] == wanted


def test_a_directory_that_is_no_more(phrases, wav, tmp_path):
    """The shell stays in a directory that another window removed, and MKL would abort."""
    gone = tmp_path / "gone"
    gone.mkdir()
    command = f"rmdir {gone}; exec {sys.executable} -m seqebm decode --json --model"
    result = subprocess.run(
        ["sh", "-c", f'{command} "$1" "$2"', "sh", phrases / "exp", wav],
        capture_output=True, cwd=gone, stdin=subprocess.DEVNULL, timeout=300,
    )  # fmt: skip
    assert result.returncode == 1 and b"the current directory was removed" in result.stderr


@pytest.fixture(scope="module")
def read_only(tmp_path_factory) -> Path:
    """A copy of the package that may not be written, and whose kernels are damaged."""
    place = tmp_path_factory.mktemp("installed")
    copy = place / "seqebm"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("*.pyc"))
    for path in copy.rglob("*.nbc"):
        path.write_bytes(path.read_bytes()[:-64])
    for path in [*copy.rglob("*"), copy, place]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield place
    for path in [place, copy, *copy.rglob("*")]:
        path.chmod(0o755)


def test_a_read_only_installation_with_damaged_kernels_and_no_home(
    phrases, wav, wanted, read_only, tmp_path
):
    (tmp_path / "t").mkdir()
    environment = {
        "PYTHONPATH": str(read_only), "HOME": "/dev/null/home", "TMPDIR": str(tmp_path / "t"),
    }  # fmt: skip
    where = [sys.executable, "-c", "import seqebm; print(seqebm.__file__)"]
    found = subprocess.run(where, env=environment, cwd="/", capture_output=True, text=True).stdout
    if not found.startswith(str(read_only)):
        pytest.skip(f"PYTHONPATH does not come before the installed package: {found}")
    probe = ["sh", "-c", f"touch {read_only}/seqebm/new"]
    if not subprocess.run(probe, preexec_fn=obey_permissions, capture_output=True).returncode:
        pytest.skip("this user may write everywhere")
    decode = ("decode", "--model", phrases / "exp", wav, "--json")
    result = run(*decode, cwd=Path("/"), root_obeys=True, **environment)
    check(result, "utf-8", wav, wanted)
    assert list((tmp_path / "t").rglob("*.nbc")), "what was compiled is kept for the next run"
    result = run("doctor", cwd=Path("/"), root_obeys=True, **environment)
    assert result.returncode == 0 and str(tmp_path / "t").encode() in result.stdout
