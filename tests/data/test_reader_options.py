"""Every option of every reader is reachable from a config, by --set, and is kept in the model."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import soundfile
from toy import TINY
from typer.testing import CliRunner

from seqebm.cli.app import app
from seqebm.data import DataDir, ReaderPool, Utterance, write_data_dir
from seqebm.errors import ConfigError, DataError
from seqebm.hooks import get_host
from seqebm.models import Recognizer
from seqebm.models.config import override, parse_config
from seqebm.training import train

INK = '{"strokes": [{"x": [0, 5, 9], "y": [0, 3, 9]}]}'


def read(kind, path, rate, **options):
    return ReaderPool(kind, options=options).for_path(path).read(path, rate)


def stereo(tmp_path):
    path = tmp_path / "two.wav"
    soundfile.write(path, np.stack([np.full(800, 0.5), np.full(800, -0.5)], 1), 8000)
    return path


def mixdown(tmp_path):
    path = stereo(tmp_path)
    return [read("audio", path, 8000, mixdown=m).mean() for m in ("mean", "first")]


def dimension(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 8000), 16000)
    return [read("features", path, 100, dimension=d).shape[1] for d in (13, 20)]


def y_axis(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(INK)
    return [read("ink", path, 100, y_axis=way)[-1, 1] for way in ("up", "down")]


def include(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "part.dat").write_text(".PEN_DOWN\n1 2\n3 4\n.PEN_UP\n")
    path = tmp_path / "a.unipen"
    path.write_text(".VERSION 1.0\n.COORD X Y\n.INCLUDE part.dat\n")
    with pytest.raises(DataError, match=r"frontend\.reader\.include"):
        read("ink", path, 100)
    return [0, len(read("ink", path, 100, include=[str(tmp_path / "elsewhere")]))]


SHOWN = {
    ("audio", "mixdown"): mixdown,
    ("cepstra", "dimension"): dimension,
    ("ink", "y_axis"): y_axis,
    ("ink", "include"): include,
}


@pytest.mark.parametrize("name", SHOWN, ids=".".join)
def test_an_option_changes_what_is_read(name, tmp_path):
    one, two = SHOWN[name](tmp_path)
    assert one != two


def test_every_option_of_our_readers_is_shown():
    registry = get_host().registry
    ours = [c for c in registry.all() if c.kind == "readers" and c.plugin in ("speech", "ink")]
    assert {(c.name, key) for c in ours for key in c.options_class().model_fields} == set(SHOWN)


def test_from_the_command_line_into_the_model(tones, tmp_path):
    source = list(DataDir.load(tones / "train"))
    utterances = [Utterance(u.id, tmp_path / f"{u.id}.wav", u.text, u.speaker) for u in source]
    for u, mono in zip(utterances, source, strict=True):
        samples, rate = soundfile.read(mono.path)
        soundfile.write(u.path, np.stack([samples, -samples], 1), rate)  # their mean is silence
    write_data_dir(tmp_path / "data", utterances)
    values = override({**TINY}, ["frontend.reader.mixdown=first", "training.epochs=1"])
    model = train(parse_config(values), tmp_path / "data", tmp_path / "exp")
    assert model.config.reader == {"mixdown": "first"}
    loaded = Recognizer.load(tmp_path / "exp")
    samples = loaded.reader_pool().for_path(utterances[0].path).read(utterances[0].path, 8000)
    assert np.abs(samples).max() > 0.1
    shutil.rmtree(tmp_path / "exp")


@pytest.mark.parametrize(
    ("reader", "message"),
    [
        ({"mixdwn": "first"}, r"frontend\.reader\.mixdwn: unknown key.*'mixdown'"),
        ({"mixdown": "last"}, r"frontend\.reader\.mixdown: .*'last'"),
        ({"name": "ink"}, r"frontend\.reader\.name: 'ink'; the readers of audio are audio"),
        ("audio", r"frontend\.reader: a mapping"),
    ],
)
def test_what_does_not_fit(reader, message):
    frontend = {**TINY["frontend"], "reader": reader}
    with pytest.raises(ConfigError, match=message):
        Recognizer(parse_config({**TINY, "frontend": frontend}), ("a", "b"))


def test_validation_reads_so_too(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "part.dat").write_text(".PEN_DOWN\n1 2\n3 4\n.PEN_UP\n")
    (tmp_path / "a.unipen").write_text(".VERSION 1.0\n.COORD X Y\n.INCLUDE part.dat\n")
    write_data_dir(tmp_path / "data", [Utterance("a", tmp_path / "a.unipen", "1", "w")], "ink")
    command = ["data", "validate", str(tmp_path / "data")]
    assert CliRunner().invoke(app, command).exit_code == 1
    option = f"include=[{tmp_path / 'elsewhere'}]"
    result = CliRunner().invoke(app, [*command, "--reader", option])
    assert result.exit_code == 0, result.output
