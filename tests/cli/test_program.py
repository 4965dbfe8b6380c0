"""The program as a user runs it: in a process of its own, with exit status and messages."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from toy import TINY

from seqebm.cli import main
from seqebm.cli.decode import picture_paths
from seqebm.data import DataDir, write_data_dir
from seqebm.models import Recognizer
from seqebm.models.config import parse_config
from seqebm.training import train


def run(*arguments, **environment) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "seqebm", *map(str, arguments)],
        capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
        env={**os.environ, "COLUMNS": "200", **environment},
    )  # fmt: skip


@pytest.fixture(scope="module")
def exp(tones, tmp_path_factory):
    directory = tmp_path_factory.mktemp("cli") / "exp"
    train(parse_config(TINY), tones / "train", directory)
    return directory


def assert_fails(result, *words: str, status: int = 1) -> None:
    assert result.returncode == status, result.stderr
    for word in words:
        assert word in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "arguments", [["--help"], ["decode", "--help"], ["plugins"], ["--version"]]
)
def test_torch_is_not_imported_where_it_is_not_needed(arguments):
    code = (
        "import sys, seqebm\n"
        f"sys.argv = ['seqebm', *{arguments!r}]\n"
        "from seqebm.cli import main\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
        "heavy = {'torch', 'numba', 'scipy', 'matplotlib', 'lightning_fabric'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_train_decode_score(tones, tmp_path):
    conf = tmp_path / "c.yaml"
    conf.write_text(yaml.safe_dump(TINY))
    exp = tmp_path / "exp"
    result = run(
        "train", conf, "--data", tones / "train", "--exp", exp, "--set", "training.epochs=2"
    )
    assert result.returncode == 0, result.stderr
    assert "epoch   2/2" in result.stderr and (exp / "training.png").exists()
    result = run("decode", "--model", exp, "--data", tones / "test", "--output", exp / "decode")
    assert result.returncode == 0, result.stderr
    assert len((exp / "decode" / "answers.jsonl").read_text().splitlines()) == 9
    result = run("score", exp)
    assert result.returncode == 0 and "accuracy" in result.stdout


def test_decode_files(exp, tones, tmp_path):
    wavs = sorted((tones / "wav").glob("test-*"))[:2]
    result = run("decode", "--model", exp, *wavs, "--json", "--plot", tmp_path / "out.png")
    assert result.returncode == 0, result.stderr
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [r["id"] for r in rows] == [str(w) for w in wavs]
    assert set(rows[0]) == {
        "id", "word", "energy", "margin", "runner_up", "confidence", "energies",
    }  # fmt: skip
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"out-{w.stem}.png" for w in wavs]
    result = run("decode", "--model", exp, wavs[0], tmp_path / "gone.wav")
    assert_fails(result, "gone.wav")
    assert rows[0]["word"] in result.stdout, "the good file is still answered"


def test_decode_otherwise_than_trained(exp, tones, tmp_path):
    wav = next((tones / "wav").glob("*.wav"))
    decode = ("decode", "--model", exp, wav, "--json")
    plain, sharp = (
        json.loads(run(*decode, *more).stdout) for more in ((), ("--set", "inference.beta=40"))
    )
    assert plain["word"] == sharp["word"] and plain["energies"] != sharp["energies"]
    assert_fails(run(*decode, "--set", "frontend.limit=0.01"), "over the limit of 0.01 s")
    assert_fails(run(*decode, "--set", "lattice.count=3"), "options of frontend and inference only")
    assert_fails(run(*decode, "--set", "frontend.limt=3"), "frontend.limt: unknown key")
    assert_fails(run(*decode, "--set", "frontend.mels=8"), "do not fit", "or these settings")


def test_combine(exp, tones, tmp_path):
    model = Recognizer.load(exp)
    result = run("combine", exp, exp, "--output", tmp_path / "both")
    assert result.returncode == 0 and "committee of 2, of" in result.stdout + result.stderr
    wav = next((tones / "wav").glob("test-*"))
    one, both = (
        json.loads(run("decode", "--model", place, wav, "--json").stdout)
        for place in (exp, tmp_path / "both")
    )
    assert both["word"] == one["word"]
    assert both["energy"] == pytest.approx(2 * model.beta * one["energy"], rel=1e-3)
    assert_fails(run("combine", exp, "--output", tmp_path / "x"), "two models or more")


def test_enrol_and_forget(exp, tones, tmp_path):
    wavs = sorted((tones / "wav").glob("train-up-*"))[:3]
    mine = tmp_path / "mine"
    result = run("enrol", "--model", exp, "upward", *wavs, "--output", mine)
    assert result.returncode == 0, result.stderr
    assert "'upward' has 3 templates" in result.stderr and "knows 4 words" in result.stderr
    result = run("decode", "--model", mine, wavs[0], "--json")
    assert json.loads(result.stdout)["word"] in ("up", "upward")
    before = (mine / "model.safetensors").read_bytes()
    assert_fails(run("enrol", "--model", mine, "x", wavs[0], tmp_path / "no.wav"), "no.wav")
    assert (mine / "model.safetensors").read_bytes() == before
    result = run("forget", "--model", mine / "model.safetensors", "up")
    assert result.returncode == 0 and "knows 3 words" in result.stderr
    result = run("decode", "--model", mine, wavs[0], "--json")
    assert json.loads(result.stdout)["word"] == "upward"
    assert_fails(run("forget", "--model", mine, "up"), "does not know the word 'up'")


def test_pictures_have_names_of_their_own():
    paths = picture_paths(Path("out.png"), ["a/x.wav", "b/x.wav", "y.wav"])
    assert [str(p) for p in paths] == ["out-x.png", "out-x-2.png", "out-y.png"]
    assert picture_paths(Path("out.png"), ["x.wav"]) == [Path("out.png")]


def test_names_that_look_like_markup_and_unwritable_outputs(exp, tones, tmp_path):
    wav = shutil.copy(next((tones / "wav").glob("test-*")), tmp_path / "a[red]b.wav")
    result = run("decode", "--model", exp, wav, "--plot", tmp_path / "a.xyz")
    assert_fails(result, "a.xyz: a picture needs")
    result = run("decode", "--model", exp, wav, "--plot", f"{wav}/a.png")
    assert "[red]" in result.stdout
    assert_fails(result, "a.png: could not be written")
    result = run("decode", "--model", exp, "--data", tones / "test", "--output", wav)
    assert_fails(result, "hyp.txt: could not be written")


def test_usage_errors(exp, tones, tmp_path):
    assert_fails(run("decode", "--model", exp), "either FILES or --data")
    assert_fails(run("decode", "--model", tmp_path / "no", "a.wav"), "no such model file")
    assert_fails(run("decode", "--modle", exp, "a.wav"), "--modle", status=2)
    conf = tmp_path / "c.yaml"
    conf.write_text(yaml.safe_dump({**TINY, "trianing": {}}))
    result = run("train", conf, "--data", tones / "train", "--exp", tmp_path / "e")
    assert_fails(result, "c.yaml", "trianing: unknown key. Did you mean 'training'?", "Valid keys")
    assert not (tmp_path / "e").exists()


def test_corrupt_model(exp, tones, tmp_path):
    data = (exp / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(data[: len(data) // 2])
    wav = next((tones / "wav").glob("test-*"))
    assert_fails(run("decode", "--model", tmp_path, wav), "truncated or damaged")


def test_doctor_and_plugins():
    checks = json.loads(run("doctor", "--json").stdout)
    names = {c["name"] for c in checks}
    assert {"torch", "numba", "threading layer", "plugin core", "plugin speech"} <= names
    listing = json.loads(run("plugins", "--json").stdout)
    assert {p["name"] for p in listing["plugins"]} >= {"core", "speech"}
    assert {"kind": "losses", "name": "lvq2", "plugin": "core",
            "source": "seqebm.losses.functionals:LVQ2"} in listing["components"]  # fmt: skip


def test_doctor_measures_where_there_is_something_to_compare():
    checks = {
        c["name"]: c["value"] for c in json.loads(run("doctor", "--json", "--measure").stdout)
    }
    import torch

    if torch.cuda.is_available():
        assert "GPU" in checks["trellis: 128 states x 32"]
    else:
        assert checks["CPU or GPU"].startswith("no CUDA device")


@pytest.fixture
def broken_plugin(tmp_path):
    """A distribution on PYTHONPATH whose plugin raises on import."""
    (tmp_path / "kaputt.py").write_text("raise RuntimeError('kaputt')\n")
    info = tmp_path / "kaputt-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kaputt\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[seqebm]\nkaputt = kaputt\n")
    path = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([str(tmp_path), *([path] if path else [])])}


def test_a_broken_plugin_is_reported_and_skipped(broken_plugin):
    result = run("plugins", **broken_plugin)
    assert result.returncode == 0
    assert "kaputt" in result.stdout and "RuntimeError: kaputt" in result.stdout
    assert "kaputt 1.2" in result.stderr and "--strict-plugins" in result.stderr
    assert_fails(run("--strict-plugins", "plugins", **broken_plugin), "kaputt")


HOOK = "import seqebm\n@seqebm.hookimpl\n"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import sys\nsys.exit(0)\n", "SystemExit: 0"),
        ("raise KeyboardInterrupt\n", "KeyboardInterrupt"),
        (f"{HOOK}def seqebm_register_commands(app): raise RuntimeError('boom')\n", "boom"),
        (f"{HOOK}def seqebm_register_commands(app): raise SystemExit(0)\n", "SystemExit"),
    ],
)
def test_no_plugin_takes_the_program_down(broken_plugin, tmp_path, exp, tones, source, reason):
    (tmp_path / "kaputt.py").write_text(source)
    wav = next((tones / "wav").glob("test-*"))
    result = run("decode", "--model", exp, wav, "--json", **broken_plugin)
    assert result.returncode == 0 and json.loads(result.stdout)["word"]
    assert "kaputt 1.2" in result.stderr and reason in result.stderr


def test_numbers_of_numpy_may_be_metrics(tones, tmp_path):
    conf = tmp_path / "c.yaml"
    conf.write_text(yaml.safe_dump({**TINY, "training": {**TINY["training"], "epochs": 2}}))
    plugin = tmp_path / "metric.py"
    plugin.write_text(
        "import numpy as np\n" + HOOK + "def seqebm_epoch_end(epoch, metrics):\n"
        "    metrics['mine'] = np.float64(epoch)\n"
        "    metrics['count'] = np.int64(epoch)\n"
    )
    result = run(
        "--plugin", plugin, "train", conf, "--data", tones / "train", "--exp", tmp_path / "e"
    )
    assert result.returncode == 0, result.stderr
    rows = (tmp_path / "e" / "metrics.csv").read_text().splitlines()
    assert "mine" in rows[0] and len(rows) == 3


def test_local_plugin(tmp_path, exp, tones):
    plugin = tmp_path / "plugin.py"
    plugin.write_text(
        textwrap.dedent(
            """
            from seqebm import hookimpl
            from seqebm.hooks import Loss

            class Squared(Loss):
                "The square of C."
                def __call__(self, terms):
                    return terms.correct.square()

            @hookimpl
            def seqebm_register_losses(register):
                register("squared", Squared)

            @hookimpl
            def seqebm_register_commands(app):
                pass
            """
        )
    )
    conf = tmp_path / "conf" / "c.yaml"
    conf.parent.mkdir()
    conf.write_text(yaml.safe_dump({**TINY, "loss": "squared", "plugins": ["../plugin.py"]}))
    result = run("train", conf, "--data", tones / "train", "--exp", tmp_path / "e")
    assert result.returncode == 0, result.stderr
    wav = next((tones / "wav").glob("test-*"))
    assert_fails(run("decode", "--model", tmp_path / "e", wav), "squared", "--plugin")
    result = run("--plugin", plugin, "decode", "--model", tmp_path / "e", wav)
    assert result.returncode == 0, result.stderr


def test_words_that_the_model_does_not_know(exp, tones, tmp_path):
    data = DataDir.load(tones / "test")
    write_data_dir(tmp_path / "d", [replace(u, text="left") for u in data][:2])
    result = run("decode", "--model", exp, "--data", tmp_path / "d", "--output", tmp_path / "o")
    assert result.returncode == 0, result.stderr
    assert "2 utterances" in result.stderr and "'left'" in result.stderr


def test_a_place_that_cannot_be_reached_is_no_bug_of_ours(monkeypatch, capsys):
    def closed(self):
        raise PermissionError(13, "Permission denied", "/locked")

    monkeypatch.setattr(Path, "is_dir", closed)
    monkeypatch.setattr(sys, "argv", ["seqebm", "data", "validate", "/locked"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 1
