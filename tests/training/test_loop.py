"""Training: it learns, it is reproducible, and nothing that happens to it loses work."""

from __future__ import annotations

import csv
import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import soundfile
import torch
from toy import RATE, TINY

from seqebm.data import DataDir, Utterance, write_data_dir
from seqebm.errors import ConfigError, DataError, InfeasibleError, ModelError, PluginError
from seqebm.hooks import Terms, get_host, hookimpl
from seqebm.hooks.manager import PluginInfo
from seqebm.models import Recognizer, storage
from seqebm.models.config import override, parse_config
from seqebm.training import train
from seqebm.training.checkpoints import Checkpoint, newest
from seqebm.training.directory import alone_in
from seqebm.training.metrics import EnergyMeter


def config(*settings: str):
    import copy

    return parse_config(override(copy.deepcopy(TINY), settings))


def weights(path) -> dict[str, torch.Tensor]:
    return dict(Recognizer.load(path).state_dict())


def assert_equal(a: dict, b: dict) -> None:
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def test_several_data_directories_are_as_one(tones, tmp_path):
    data = DataDir.load(tones / "train")
    parts = [data.where(lambda u, k=k: hash_of(u.id) == k) for k in (0, 1)]
    assert all(len(part) for part in parts)
    train(config("training.epochs=1"), data, tmp_path / "a")
    train(config("training.epochs=1"), parts, tmp_path / "b")
    assert_equal(weights(tmp_path / "a"), weights(tmp_path / "b"))


def hash_of(name: str) -> int:
    return sum(name.encode()) % 2


def test_learns_and_logs(tones, tmp_path):
    exp = tmp_path / "exp"
    model = train(config("training.epochs=12"), tones / "train", exp, tones / "test")
    rows = list(csv.DictReader((exp / "metrics.csv").open()))
    assert [int(r["epoch"]) for r in rows] == list(range(1, 13))
    assert float(rows[-1]["valid_accuracy"]) >= 8 / 9
    assert float(rows[-1]["train_gap"]) > float(rows[0]["train_gap"])
    for column in ("train_violations", "train_collapsed", "train_infeasible", "learning_rate"):
        assert column in rows[0]
    assert sorted(p.name for p in (exp / "checkpoints").iterdir()) == [
        "epoch-0011.safetensors", "epoch-0012.safetensors",
    ]  # fmt: skip
    assert_equal(weights(exp), dict(model.state_dict()))


@pytest.mark.parametrize("settings", [[], ["training.average=0.9"], ["training.optimizer=sgd"]])
def test_resuming_equals_not_stopping(tones, tmp_path, settings):
    settings = [
        *settings, "training.keep_checkpoints=9", "features.dropout=0.2",
        "frontend.augment.enabled=true",
    ]  # fmt: skip
    train(config(*settings), tones / "train", tmp_path / "whole")
    part = tmp_path / "part"
    shutil.copytree(tmp_path / "whole", part)
    for name in ("model.safetensors", "metrics.csv"):
        (part / name).unlink()
    for late in ("0002", "0003"):
        (part / "checkpoints" / f"epoch-{late}.safetensors").unlink()
    train(config(*settings), tones / "train", part)
    assert_equal(weights(part), weights(tmp_path / "whole"))
    assert len((part / "metrics.csv").read_text().splitlines()) == 4


def test_seeds_matter_and_decide(tones, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(config(f"training.seed={seed}"), tones / "train", tmp_path / name)
    a, b, c = (weights(tmp_path / n) for n in "abc")
    assert_equal(a, b)
    assert any(not torch.equal(a[k], c[k]) for k in a)


def test_kill_9_loses_at_most_an_epoch(tones, tmp_path):
    exp = tmp_path / "exp"
    (tmp_path / "c.yaml").write_text(config("training.epochs=200").to_yaml())
    command = [sys.executable, "-m", "seqebm", "train", str(tmp_path / "c.yaml")]
    command += ["--data", str(tones / "train"), "--exp", str(exp)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while len(list((exp / "checkpoints").glob("epoch-*.safetensors"))) < 2:
        assert process.poll() is None and time.monotonic() < deadline, "it should be training"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    reached = newest(exp / "checkpoints")
    assert reached is not None and 2 <= reached.epoch < 200
    seen: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        train(
            config("training.epochs=200"), tones / "train", exp, progress=lambda p: _stop(p, seen)
        )
    assert seen == [reached.epoch + 1], "the rerun went on with the next epoch"


def _stop(progress, seen) -> None:
    if progress.metrics is not None:
        seen.append(progress.epoch)
        raise KeyboardInterrupt


def test_truncated_checkpoint_falls_back(tones, tmp_path, caplog):
    exp = tmp_path / "exp"
    train(config(), tones / "train", exp)
    path = exp / "checkpoints" / "epoch-0003.safetensors"
    path.write_bytes(path.read_bytes()[:500])
    found = newest(exp / "checkpoints")
    assert found is not None and found.epoch == 2
    assert "epoch-0003.safetensors: truncated or damaged" in caplog.text


def test_a_damaged_checkpoint_falls_back(tones, tmp_path, caplog):
    """Wherever it is damaged: header, description or tensors."""
    exp = tmp_path / "exp"
    train(config(), tones / "train", exp)
    path = exp / "checkpoints" / "epoch-0003.safetensors"
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    before = Checkpoint.load(exp / "checkpoints" / "epoch-0002.safetensors")
    for position in rng.integers(len(whole), size=60).tolist():
        damaged = bytearray(whole)
        damaged[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        found = newest(exp / "checkpoints")
        assert found is not None
        if found.epoch == 3:  # nothing that counts: the name of the checksum
            assert storage.read(path)[1]["step"] == found.step
        else:
            assert_equal(found.model, before.model)
    assert caplog.text.count("epoch-0002.safetensors is used") > 50


@pytest.mark.parametrize(
    "notes",
    [{}, {"epoch": 1}, {"epoch": 1, "optimizer_scalars": None}, [], None, "epoch"],
    ids=repr,
)
def test_what_is_no_checkpoint_is_not_taken_for_one(tmp_path, notes):
    storage.write(tmp_path / "epoch-0001.safetensors", {"moddl/x": torch.zeros(2)}, notes)
    with pytest.raises(ModelError, match=r"epoch-0001.safetensors: no whole checkpoint"):
        Checkpoint.load(tmp_path / "epoch-0001.safetensors")
    assert newest(tmp_path) is None


def test_one_training_in_a_directory(tones, tmp_path):
    """The second is refused while the first is at work, whoever has it; then it may go on."""
    exp = tmp_path / "exp"
    code = (
        "import sys, time; from pathlib import Path; from seqebm.training.directory import alone_in"
        f"\nwith alone_in(Path({str(exp)!r})): print('mine', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None and other.stdout.readline() == "mine\n"
        with pytest.raises(ConfigError, match=r"exp: another training is at work there"):
            train(config(), tones / "train", exp)
        assert not (exp / "config.yaml").exists()
    finally:
        other.kill()
        other.wait()
    train(config("training.epochs=0"), tones / "train", exp)  # a killed one leaves no lock


def test_one_training_in_a_process(tones, tmp_path):
    entered, go_on = threading.Event(), threading.Event()

    def first() -> None:
        with alone_in(tmp_path / "first"):
            entered.set()
            go_on.wait(60)

    thread = threading.Thread(target=first)
    thread.start()
    try:
        assert entered.wait(60)
        with pytest.raises(ConfigError, match="another thread of this process is training"):
            train(config(), tones / "train", tmp_path / "second")
    finally:
        go_on.set()
        thread.join()


def test_one_answer_is_refused(tones, tmp_path):
    source = DataDir.load(tones / "train")
    one = [u for u in source.utterances if u.text == "up"]
    write_data_dir(tmp_path / "one", one)
    with pytest.raises(DataError, match=r"all transcripts are the same \(up\).*two answers"):
        train(config(), tmp_path / "one", tmp_path / "exp")


def test_full_disk_keeps_the_last_checkpoint(tones, tmp_path, monkeypatch):
    exp = tmp_path / "exp"
    real, calls = os.fsync, []

    def fill(descriptor):
        calls.append(descriptor)
        if len(list((exp / "checkpoints").glob("epoch-*.safetensors"))) >= 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fill)
    with pytest.raises(ModelError, match=r"disk is full.*rerun to continue"):
        train(config(), tones / "train", exp)
    monkeypatch.undo()
    assert Checkpoint.load(exp / "checkpoints" / "epoch-0001.safetensors").epoch == 1
    assert not list(exp.rglob("*.part"))
    train(config(), tones / "train", exp)
    assert (exp / "model.safetensors").exists()


def test_another_config_is_refused(tones, tmp_path):
    train(config(), tones / "train", tmp_path / "exp")
    with pytest.raises(ConfigError, match=r"differs in lattice.count"):
        train(config("lattice.count=3"), tones / "train", tmp_path / "exp")
    train(config("training.keep_checkpoints=5"), tones / "train", tmp_path / "exp")


def test_another_vocabulary_is_refused(tones, tmp_path):
    train(config(), tones / "train", tmp_path / "exp")
    fewer = DataDir.load(tones / "train").where(lambda u: u.text != "up")
    with pytest.raises(ConfigError, match="vocabulary down, flat, up"):
        train(config(), fewer, tmp_path / "exp")


def test_unknown_word_in_the_validation_set(tones, tmp_path):
    known = DataDir.load(tones / "train").where(lambda u: u.text != "up")
    with pytest.raises(DataError, match=r"'up' is not in the model's vocabulary \(down, flat\)"):
        train(config(), known, tmp_path / "exp", tones / "test")


@pytest.fixture
def with_bad(tones, tmp_path):
    """The training set with a NaN file, an empty file and one of 20 ms."""
    good = list(DataDir.load(tones / "train"))
    nan = np.full(3000, np.nan, np.float32)
    soundfile.write(tmp_path / "nan.wav", nan, RATE, subtype="FLOAT")
    (tmp_path / "empty.wav").write_bytes(b"")
    soundfile.write(tmp_path / "short.wav", np.ones(160, np.float32) * 0.1, RATE)
    bad = [Utterance(f"z-{n}", tmp_path / f"{n}.wav", "up", "z") for n in ("nan", "empty")]
    write_data_dir(tmp_path / "bad", [*good, *bad])
    write_data_dir(tmp_path / "short", [*good, Utterance("z-s", tmp_path / "short.wav", "up", "z")])
    return tmp_path


def test_bad_utterances_are_listed_before_the_first_epoch(with_bad):
    with pytest.raises(DataError, match=r"(?s)2 of 26 .*z-empty.*z-nan"):
        train(config(), with_bad / "bad", with_bad / "exp")
    assert not (with_bad / "exp" / "checkpoints").exists()
    train(config("training.bad_utterances=skip"), with_bad / "bad", with_bad / "exp2")


def test_infeasible_utterances_are_named(with_bad, caplog):
    settings = ["lattice.length=8"]
    with pytest.raises(
        InfeasibleError, match=r"1 of 25 .*(?s:.)*z-s: 1 feature frames, but 'up' needs"
    ):
        train(config(*settings), with_bad / "short", with_bad / "exp")
    settings.append("training.bad_utterances=skip")
    train(config(*settings), with_bad / "short", with_bad / "exp2")
    rows = list(csv.DictReader((with_bad / "exp2" / "metrics.csv").open()))
    assert rows[0]["train_infeasible"] == "1" and "z-s" in caplog.text


def test_early_stopping_keeps_the_best(tones, tmp_path):
    exp = tmp_path / "exp"
    # A huge learning rate: the validation loss soon stops getting better.
    settings = ["training.epochs=60", "training.patience=2", "training.learning_rate=0.5"]
    train(config(*settings), tones / "train", exp, tones / "test")
    rows = list(csv.DictReader((exp / "metrics.csv").open()))
    losses = [float(r["valid_loss"]) for r in rows]
    assert len(rows) < 60 and len(rows) == int(np.argmin(losses)) + 1 + 2
    assert_equal(weights(exp), weights(exp / "best"))


def test_no_epochs_keeps_the_initialisation(tones, tmp_path):
    model = train(config("training.epochs=0"), tones / "train", tmp_path / "exp")
    assert torch.isfinite(model.lattice.references).all()
    assert_equal(weights(tmp_path / "exp"), dict(model.state_dict()))


@pytest.mark.parametrize("loss", get_host().registry.names("losses"))
def test_every_loss_trains(tones, tmp_path, loss):
    beta = ".inf" if loss == "lvq2" else "10"  # a soft minimum of energies >= 0 may be negative
    settings = [f"loss.name={loss}", f"inference.beta={beta}"]
    model = train(config(*settings), tones / "train", tmp_path / "exp", tones / "test")
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_collapse_shows_in_the_log(tones, tmp_path):
    """The energy loss with free templates and features collapses; the metrics must say so."""
    settings = ["loss.name=energy", "training.epochs=60", "training.learning_rate=0.03"]
    train(config(*settings, "lattice.metric=sqeuclidean"), tones / "train", tmp_path / "exp")
    rows = list(csv.DictReader((tmp_path / "exp" / "metrics.csv").open()))
    assert float(rows[-1]["train_gap"]) < 0.2 * float(rows[0]["train_gap"])


@pytest.mark.parametrize("average", ["0.9", "0"])
def test_a_training_that_was_cut_off_can_be_used(tones, tmp_path, caplog, average):
    exp = tmp_path / "exp"
    train(config(f"training.average={average}"), tones / "train", exp)
    whole = Recognizer.load(exp).state_dict()
    assert not caplog.records
    (exp / "model.safetensors").unlink()
    newest = sorted((exp / "checkpoints").iterdir())[-1]
    for place in (exp, newest):
        model = Recognizer.load(place)
        assert not model.training
        for name, tensor in model.state_dict().items():
            assert torch.equal(tensor, whole[name]), name
        assert "its training has not come to its end" in caplog.text
        caplog.clear()
    newest.write_bytes(newest.read_bytes()[:-50])
    with pytest.raises(ModelError, match="damaged"):
        Recognizer.load(exp)


@pytest.mark.parametrize(
    "hook", ["train_start", "batch_end", "epoch_end", "checkpoint_saved", "train_end"]
)
def test_a_plugin_that_fails_at_an_event_is_named(tones, tmp_path, hook):
    def fails():
        raise RuntimeError("boom")

    fails.__name__ = f"seqebm_{hook}"
    listener = type("Listener", (), {f"seqebm_{hook}": staticmethod(hookimpl(fails))})
    get_host().register(listener, PluginInfo(f"fails-{hook}", "test", "0"))
    try:
        with pytest.raises(PluginError, match=f"'fails-{hook}' .* failed in seqebm_{hook}: .*boom"):
            train(config("training.epochs=1"), tones / "train", tmp_path / "exp")
    finally:
        get_host().manager.unregister(listener)


def test_events_reach_plugins(tones, tmp_path):
    seen: list[str] = []

    class Listener:
        @hookimpl
        def seqebm_train_start(self, exp, config, model):
            seen.append("start")

        @hookimpl
        def seqebm_batch_end(self, epoch, step, loss):
            seen.append("batch")

        @hookimpl
        def seqebm_epoch_end(self, epoch, metrics, model):
            metrics["mine"] = epoch * 10
            seen.append("epoch")

        @hookimpl
        def seqebm_checkpoint_saved(self, path, epoch):
            assert path.exists()
            seen.append("checkpoint")

        @hookimpl
        def seqebm_train_end(self, exp, model):
            seen.append("end")

    listener = Listener()
    get_host().register(listener, PluginInfo("listener", "test", "0"))
    try:
        train(config("training.batch_size=100"), tones / "train", tmp_path / "exp")
    finally:
        get_host().manager.unregister(listener)
    per_epoch = seen[1:-1]
    assert seen[0] == "start" and seen[-1] == "end"
    assert per_epoch.count("epoch") == per_epoch.count("checkpoint") == 3
    rows = list(csv.DictReader((tmp_path / "exp" / "metrics.csv").open()))
    assert [r["mine"] for r in rows] == ["10", "20", "30"]


def test_a_plugin_that_fails_costs_no_epoch(tones, tmp_path):
    class Failing:
        @hookimpl
        def seqebm_epoch_end(self, epoch, metrics, model):
            metrics["mine"] = np.float64(1.5)
            if epoch == 2:
                raise RuntimeError("boom")

    failing = Failing()
    get_host().register(failing, PluginInfo("failing", "test", "0"))
    try:
        with pytest.raises(Exception, match="boom"):
            train(config(), tones / "train", tmp_path / "exp")
    finally:
        get_host().manager.unregister(failing)
    found = newest(tmp_path / "exp/checkpoints")
    assert found is not None and found.epoch == 2
    assert [row["mine"] for row in found.history] == [1.5, 1.5]
    train(config(), tones / "train", tmp_path / "exp")
    train(config(), tones / "train", tmp_path / "other")
    assert_equal(weights(tmp_path / "exp"), weights(tmp_path / "other"))


def test_divergence_is_a_message(tones, tmp_path):
    with pytest.raises(DataError, match=r"epoch \d+: .*lower training.learning_rate"):
        settings = ["training.learning_rate=1e30", "training.clip_norm=null"]
        train(config(*settings, "training.optimizer=sgd"), tones / "train", tmp_path / "exp")


def test_a_loss_that_cannot_take_the_energies_says_so(tones, tmp_path):
    with pytest.raises(DataError, match="lvq2 needs energies > 0"):
        train(config("loss.name=lvq2", "lattice={name: pooled}"), tones / "train", tmp_path / "e")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("training.precision=31-true", "training.precision '31-true'"),
        ("training.accelerator=abacus", "training.accelerator 'abacus'"),
    ],
)
def test_what_fabric_refuses(tones, tmp_path, setting, message):
    with pytest.raises(ConfigError, match=message):
        train(config(setting), tones / "train", tmp_path / "exp")


def test_mixed_precision_is_for_the_network_only(tones, tmp_path):
    """Sums over paths stay in float32 (the kernels take nothing shorter), with like results."""
    losses = []
    for precision in ("32-true", "bf16-mixed"):
        train(config(f"training.precision={precision}"), tones / "train", tmp_path / precision)
        rows = csv.DictReader((tmp_path / precision / "metrics.csv").open())
        losses.append([float(row["train_loss"]) for row in rows])
    assert losses[1] == pytest.approx(losses[0], rel=0.1) and losses[1] != losses[0]


def test_tensorboard(tones, tmp_path):
    settings = ["training.logger=tensorboard", "training.epochs=1"]
    try:
        import tensorboard  # noqa: F401
    except ImportError:
        with pytest.raises(ConfigError, match="pip install"):
            train(config(*settings), tones / "train", tmp_path / "exp")
    else:
        train(config(*settings), tones / "train", tmp_path / "exp")
        assert list((tmp_path / "exp" / "tensorboard").glob("events*"))


def test_what_a_killed_run_left_half_written_is_removed(tones, tmp_path):
    debris = tmp_path / "checkpoints" / ".epoch-0001.safetensors.abc.part"
    debris.parent.mkdir()
    debris.write_bytes(b"half")
    train(config("training.epochs=1"), tones / "train", tmp_path)
    assert os.listdir(debris.parent) == ["epoch-0001.safetensors"]


def test_a_damaged_config_of_an_experiment_is_named(tones, tmp_path):
    (tmp_path / "config.yaml").write_text("a: [")
    with pytest.raises(ConfigError, match=r"(?s)config.yaml: not valid YAML.* give another"):
        train(config(), tones / "train", tmp_path)


def test_no_rival_is_not_a_collapse():
    meter = EnergyMeter(0.0)
    inf = torch.tensor([float("inf")])
    meter.add(torch.zeros(1), Terms(torch.ones(1), torch.ones(1), inf, 1.0))
    assert meter.row("x")["x_collapsed"] == 0 and meter.row("x")["x_accuracy"] == 1
