import json

import numpy as np
import pytest
from typer.testing import CliRunner

from seqebm.cli import data as cli
from seqebm.data import readers
from seqebm.data.reader import Reader
from seqebm.errors import ConfigError, DataError
from seqebm.hooks import Options, PluginHost, hookimpl, manager
from seqebm.hooks.manager import PluginInfo

run = CliRunner().invoke


class Fake(Reader):
    kind = "audio"
    suffixes = (".f32",)

    def __init__(self, options):
        pass

    def read(self, path, rate, start=None, stop=None, limit=None):
        return np.fromfile(path, dtype=np.float32)


class PreparerOptions(Options):
    seed: int = 0
    words: tuple[str, ...] = ()


class Plugin:
    @staticmethod
    @hookimpl
    def seqebm_register_readers(register):
        register("fake", Fake)

    @staticmethod
    @hookimpl
    def seqebm_register_preparers(register):
        def make(options):
            def prepare(destination):
                (destination / "train").mkdir(parents=True)
                (destination / "train" / "wav.scp").write_text(
                    f"{list(options.words)} {options.seed}\n"
                )

            return prepare

        register("toy", make, PreparerOptions)


@pytest.fixture(autouse=True)
def host(monkeypatch):
    host = PluginHost(load_installed=False)
    host.register(Plugin, PluginInfo("test", "test-dist", "1"))
    monkeypatch.setattr(manager, "_default_host", lambda: host)
    assert readers.get_host() is host


@pytest.fixture
def directory(tmp_path):
    for name in "ab":
        np.zeros(9, np.float32).tofile(tmp_path / f"{name}.f32")
    (tmp_path / "wav.scp").write_text("a a.f32\nb b.f32\n")
    (tmp_path / "utt2spk").write_text("a s\nb s\n")
    (tmp_path / "text").write_text("a one\nb two\n")
    return tmp_path


def test_a_sound_directory(directory):
    result = run(cli.app, ["validate", str(directory)])
    assert result.exit_code == 0
    assert "0 errors, 0 warnings" in result.output


def test_problems_are_shown_and_fail(directory):
    (directory / "text").write_text("a one\nb two\nx six\n")
    result = run(cli.app, ["validate", str(directory)])
    assert result.exit_code == 1
    assert "text:3" in result.output
    assert "1 errors" in result.output
    assert "1 of 3 utterances cannot be mended; --fix --drop drops them: x" in result.output


def test_fix_repairs_and_drops_only_when_told_to(directory):
    (directory / "text").write_text("b two\na one\nx six\n")
    result = run(cli.app, ["validate", str(directory), "--fix"])
    assert result.exit_code == 1
    assert "mended" in result.output
    assert "1 of 3 utterances cannot be mended; --fix --drop drops them: x" in result.output
    assert (directory / "text").read_text() == "a one\nb two\nx six\n"
    result = run(cli.app, ["validate", str(directory), "--fix", "--drop"])
    assert result.exit_code == 0
    assert "1 of 3 utterances dropped: x" in result.output
    assert (directory / "text").read_text() == "a one\nb two\n"


def test_drop_alone_changes_nothing(directory):
    result = run(cli.app, ["validate", str(directory), "--drop"])
    assert isinstance(result.exception, ConfigError)


def test_warnings_do_not_fail(directory):
    (directory / "text").write_text("b two\na one\n")
    result = run(cli.app, ["validate", str(directory)])
    assert result.exit_code == 0
    assert "0 errors, 1 warnings" in result.output


def test_files_are_read_unless_told_not_to(directory):
    (directory / "b.f32").write_bytes(b"")
    assert "no samples" in run(cli.app, ["validate", str(directory)]).output.replace("\n", " ")
    assert run(cli.app, ["validate", str(directory), "--no-check-files"]).exit_code == 0


def test_json(directory):
    (directory / "text").write_text("a one\nb two\nb two\n")
    result = run(cli.app, ["validate", str(directory), "--json"])
    assert result.exit_code == 1
    (problem,) = json.loads(result.stdout)["problems"]
    assert problem["file"] == str(directory / "text")
    assert (problem["line"], problem["id"], problem["fixable"]) == (3, "b", True)


def test_prepare(tmp_path):
    destination = tmp_path / "out"
    arguments = ["prepare", "toy", str(destination), "--set", "seed=3", "--set", "words=[a, b]"]
    result = run(cli.app, arguments)
    assert result.exit_code == 0, result.output
    assert (destination / "train" / "wav.scp").read_text() == "['a', 'b'] 3\n"
    assert str(destination / "train") in result.output


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["tay"], "Did you mean 'toy'"),
        (["toy", "--set", "sed=3"], "Did you mean 'seed'"),
        (["toy", "--set", "seed=x"], "--set.seed"),
        (["toy", "--set", "seed"], "key=value"),
        (["toy", "--set", "seed=[1"], "not valid YAML"),
        (["toy", "--set", "seed=1", "--set", "seed=2"], "given twice"),
        (["toy", "--set", "name=x"], "argument NAME"),
    ],
)
def test_prepare_says_what_is_wrong(tmp_path, arguments, part):
    name, *options = arguments
    result = run(cli.app, ["prepare", name, str(tmp_path / "out"), *options])
    assert isinstance(result.exception, ConfigError)
    assert part in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_prepare_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    result = run(cli.app, ["prepare", "toy", str(tmp_path / "file" / "d")])
    assert isinstance(result.exception, DataError)
    assert "file/d: could not be written" in str(result.exception)


def test_prepare_explains_the_options_of_a_preparer():
    result = run(cli.app, ["prepare", "toy", "--help"])
    assert result.exit_code == 0, result.output
    assert "seed" in result.output and "words" in result.output and "``" not in result.output
    for arguments in (["--help"], ["-h"]):
        assert "DESTINATION" in run(cli.app, ["prepare", *arguments]).output.upper()
    result = run(cli.app, ["prepare", "toy"])
    assert isinstance(result.exception, ConfigError)
    assert "give NAME and DESTINATION" in str(result.exception)
