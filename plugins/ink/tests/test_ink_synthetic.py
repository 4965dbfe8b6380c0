"""The synthetic corpus: the same again from the same seed, and ink that can be used."""

from __future__ import annotations

import builtins
from pathlib import Path

import numpy as np
import pytest
from seqebm_ink import synthetic
from seqebm_ink.options import SyntheticInkOptions
from seqebm_ink.reader import InkReader, read_ink

from seqebm.data import DataDir
from seqebm.errors import ConfigError, PluginError

SMALL = {"train_writers": 3, "test_writers": 2, "repetitions": 2}


def make(path: Path, **options) -> list[Path]:
    return synthetic.synthetic_ink(SyntheticInkOptions(**SMALL, **options))(path)


@pytest.mark.parametrize("what", ["digits", "upper", "lower", "words"])
def test_every_ink_is_usable_and_no_writer_is_in_both_parts(tmp_path, what):
    train, test = map(DataDir.load, make(tmp_path, what=what, words=6))
    assert not set(train.speakers) & set(test.speakers)
    assert len(train.speakers) == 3 and len(test.speakers) == 2
    for utterance in [*train, *test]:
        points = InkReader().read(utterance.path, 100, utterance.start, utterance.stop)
        assert len(points) > 3
        assert np.isfinite(points).all()
        assert np.ptp(points[:, 0]) > 0 or np.ptp(points[:, 1]) > 0


def test_the_same_seed_gives_the_same_bytes_another_others(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        make(tmp_path / name, what="digits", seed=seed)
    files = [(tmp_path / n / "train" / "ink.npy").read_bytes() for n in "abc"]
    assert files[0] == files[1] != files[2]


def test_test_writers_also_write_words_that_training_has_not(tmp_path):
    train, test = map(DataDir.load, make(tmp_path, what="words", words=8, new_words=0.5))
    assert len(set(train.texts) | set(test.texts)) == 8
    assert len(set(test.texts) - set(train.texts)) == 2


def test_y_is_upwards_and_dots_come_late():
    glyphs = synthetic._load("futural")
    rng = np.random.default_rng(0)
    options = SyntheticInkOptions(distortion=0.0)
    writer = synthetic._writer("w", options, rng)
    late = synthetic.write("ij", _with(writer, font="futural", delays=True), glyphs, rng)
    soon = synthetic.write("ij", _with(writer, font="futural", delays=False), glyphs, rng)
    heights = [[float(s[:, 1].mean()) for s in ink.strokes] for ink in (late, soon)]
    top = max(heights[0])
    assert [h > 0.7 * top for h in heights[0]] == [False, False, True, True]
    assert [h > 0.7 * top for h in heights[1]].count(True) == 2
    assert late.time is not None and (np.diff(late.time) >= 0).all()
    (lowest,) = (s for s in late.strokes if s[:, 1].min() == late.xy[:, 1].min())
    assert lowest[:, 0].mean() > late.xy[:, 0].mean(), "the tail of j goes below the line"


def _with(writer, **changes):
    return synthetic.Writer(**{**writer.__dict__, **changes})


def test_letters_of_script_fonts_are_joined():
    rng = np.random.default_rng(0)
    writer = synthetic._writer("w", SyntheticInkOptions(distortion=0.0), rng)
    counts = {
        font: len(
            synthetic.write(
                "nun", _with(writer, font=font, spacing=0.0), synthetic._load(font), rng
            ).strokes
        )
        for font in ("futural", "scripts")
    }
    assert counts["scripts"] < 3 <= counts["futural"]


def test_the_samples_are_ink_that_decode_reads(tmp_path):
    make(tmp_path, what="words", words=4)
    samples = sorted((tmp_path / "samples").glob("*.json"))
    assert samples and all(len(read_ink(path)) > 10 for path in samples)
    assert "SYNTHETIC" in (tmp_path / "README.txt").read_text()


def test_an_unknown_font_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="'comic' is none of futural"):
        make(tmp_path, fonts=("comic",))


def test_without_the_package_the_remedy_is_named(tmp_path, monkeypatch):
    real = builtins.__import__

    def refusing(name, *args, **kwargs):
        if name == "HersheyFonts":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refusing)
    with pytest.raises(PluginError, match="pip install 'seqebm-ink"):
        make(tmp_path)


def test_development_writers_are_held_out_of_training(tmp_path):
    prepare = synthetic.synthetic_ink(
        SyntheticInkOptions(train_writers=3, dev_writers=1, test_writers=1, repetitions=1)
    )
    parts = {path.name: DataDir.load(path).utterances for path in prepare(tmp_path)}
    writers = {name: {u.speaker for u in own} for name, own in parts.items()}
    assert writers["train_dev"] | writers["dev"] == writers["train"]
    assert not writers["train_dev"] & writers["dev"] and len(writers["dev"]) == 1
    with pytest.raises(ValueError, match="dev_writers 3 leave none"):
        SyntheticInkOptions(train_writers=3, dev_writers=3)
