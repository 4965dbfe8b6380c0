"""The preparers of real corpora, on small corpora in their formats."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from seqebm_ink.archive import Item, write_ink_dir
from seqebm_ink.options import PendigitsOptions, UnipenOptions
from seqebm_ink.pendigits import pendigits
from seqebm_ink.reader import InkReader
from seqebm_ink.unipen_corpus import parts_of, unipen

from seqebm.data import DataDir, validate
from seqebm.errors import DataError

WRITERS = [f"{name}{n}" for name in ("anna", "bert", "cleo") for n in range(4)]


def corpus(root: Path) -> Path:
    """A corpus of twelve writers in a file each: words of several kinds, and what is unusable."""
    (root / "include").mkdir(parents=True)
    folder = root / "data/6/abc"
    folder.mkdir(parents=True)
    (root / "include/units.doc").write_text(".X_POINTS_PER_INCH 254\n.POINTS_PER_SECOND 100\n")
    for number, writer in enumerate(WRITERS):
        strokes = "".join(
            f".PEN_DOWN\n {10 * i} 0\n {10 * i + 5} {9 + number}\n.PEN_UP\n" for i in range(5)
        )
        (folder / f"{writer}.dat").write_text(
            f".VERSION 1.0\n.COORD X Y\n.WRITER_ID {writer}\n.INCLUDE units.doc\n{strokes}"
            '.SEGMENT WORD 0 OK "cat"\n.SEGMENT WORD 1-2 OK "Dog"\n.SEGMENT WORD 3 BAD "bird"\n'
            '.SEGMENT WORD 3 OK "it\'s"\n.SEGMENT CHARACTER 4 OK "x"\n.SEGMENT WORD 4 OK "owl"\n'
            '.SEGMENT WORD 7 OK "gone"\n'
        )
    (folder / "broken.dat").write_text("\n\nnothing of the kind\n")
    return root


def prepare(root: Path, to: Path, **options) -> dict[str, DataDir]:
    made = unipen(UnipenOptions(source=root, category="words", **options))(to)
    return {path.name: DataDir.load(path) for path in made}


def test_words_of_unipen_with_writers_disjoint(tmp_path):
    parts = prepare(corpus(tmp_path / "c"), tmp_path / "d", labels="lower", dev_share=0.3)
    assert set(parts) == {"train", "test", "train_dev", "dev"}
    writers = {name: {u.speaker for u in part.utterances} for name, part in parts.items()}
    assert writers["train"] | writers["test"] == set(WRITERS)
    assert not writers["train"] & writers["test"]
    assert writers["train_dev"] | writers["dev"] == writers["train"]
    assert not writers["train_dev"] & writers["dev"]
    for name, part in parts.items():
        assert [u.text for u in part.utterances] == ["cat", "owl"] * len(writers[name])
        assert validate(tmp_path / "d" / name, reader=InkReader()) == []
    assert writers["test"] == {
        w for w in WRITERS if "test" in parts_of(w, UnipenOptions(dev_share=0.3))
    }


@pytest.mark.parametrize(("share", "part"), [(1, "test"), (0, "train")])
def test_all_writers_may_be_in_one_part(tmp_path, share, part):
    root = corpus(tmp_path / "c")
    both = prepare(root, tmp_path / "b")
    parts = prepare(root, tmp_path / "d", test_share=share)
    assert list(parts) == [part]
    assert len(parts[part]) == len(both["train"]) + len(both["test"])
    assert f"| {part} | {len(parts[part])} |" in (tmp_path / "d/report.md").read_text()


def test_what_is_skipped_is_told(tmp_path):
    prepare(corpus(tmp_path / "c"), tmp_path / "d", labels="lower", per_writer=1)
    report = (tmp_path / "d/report.md").read_text()
    for reason, count in {
        "label is not lower": 24, "marked BAD": 12, "is a CHARACTER": 12, "file not readable": 1,
        "writer has enough others": 12,
    }.items():  # fmt: skip
        assert f"| {reason} | {count} |" in report
    rows = (tmp_path / "d/skipped.tsv").read_text().splitlines()
    assert rows[0] == "reason\tsegment" and sum("Dog" in row for row in rows) == 12


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        ({"labels": "letters"}, {"cat", "Dog", "owl"}),
        ({"labels": "any"}, {"cat", "Dog", "it's", "owl"}),
        ({"labels": "lower", "bad": True}, {"cat", "bird", "owl"}),
    ],
)
def test_which_labels_are_kept(tmp_path, options, texts):
    parts = prepare(corpus(tmp_path / "c"), tmp_path / "d", **options)
    assert {u.text for u in parts["train"].utterances} == texts


def test_the_ink_is_that_of_the_segment(tmp_path):
    parts = prepare(corpus(tmp_path / "c"), tmp_path / "d", labels="letters")
    utterance = next(u for u in parts["train"].utterances if u.text == "Dog")
    points = InkReader().read(utterance.path, 100, utterance.start, utterance.stop)
    number = WRITERS.index(utterance.speaker)
    assert np.allclose(points[:, 1], [0, 9 + number] * 2)
    assert points[:, 3].tolist() == [0, 0, 1, 1]


def test_a_corpus_that_is_none(tmp_path):
    with pytest.raises(DataError, match="no source given"):
        unipen(UnipenOptions())(tmp_path)
    with pytest.raises(DataError, match="holds no data/"):
        unipen(UnipenOptions(source=tmp_path))(tmp_path / "d")
    (tmp_path / "c/data/1a").mkdir(parents=True)
    (tmp_path / "c/include").mkdir()
    with pytest.raises(DataError, match="no segment of category 1a"):
        unipen(UnipenOptions(source=tmp_path / "c"))(tmp_path / "d")
    with pytest.raises(DataError, match="is the corpus complete"):
        prepare(tmp_path / "c", tmp_path / "d")


def digits(writers: int, wrong: bool = False) -> str:
    text, count = ".VERSION 1.0\n.COORD X Y\n", 0
    for writer in range(1, writers + 1):
        for digit in "07":
            label = "1" if wrong else digit
            text += (
                f'.SEGMENT DIGIT {count} ? "{label}"\n.COMMENT {digit} {writer} 3\n'
                ".PEN_DOWN\n 1 2\n 3 4\n.PEN_UP\n.DT 100\n"
            )
            count += 1
    return text


def test_pendigits_gzipped_or_not(tmp_path):
    source = tmp_path / "s"
    source.mkdir()
    (source / "pendigits-train.gz").write_bytes(gzip.compress(digits(3).encode()))
    (source / "pendigits-orig.tes").write_text(digits(2))
    made = pendigits(PendigitsOptions(source=source, dev_writers=1))(tmp_path / "d")
    parts = {path.name: DataDir.load(path).utterances for path in made}
    assert {name: len(own) for name, own in parts.items()} == {
        "train": 6, "test": 4, "train_dev": 4, "dev": 2
    }  # fmt: skip
    assert {u.speaker for u in parts["dev"]} == {"train03"}
    assert [u.text for u in parts["test"]] == ["0", "7"] * 2
    assert {u.speaker for u in parts["test"]} == {"test01", "test02"}


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"not gzip", "it is no UNIPEN file"),
        (b"\x1f\x8bno", "damaged or cut short"),
        (gzip.compress(digits(2, wrong=True).encode(), mtime=0), "commented as"),
    ],
)
def test_pendigits_that_are_damaged(tmp_path, content, match):
    (tmp_path / "pendigits-train.gz").write_bytes(content)
    with pytest.raises(DataError, match=match):
        pendigits(PendigitsOptions(source=tmp_path))(tmp_path / "d")
    with pytest.raises(DataError, match="holds none of"):
        pendigits(PendigitsOptions(source=tmp_path / "d"))(tmp_path / "e")


def test_items_without_points_are_refused(tmp_path):
    with pytest.raises(DataError, match="no ink"):
        write_ink_dir(tmp_path, [])
    with pytest.raises(DataError, match="anna-1"):
        write_ink_dir(tmp_path, [Item("anna-1", "a", "anna", np.zeros((0, 4), np.float32))])
