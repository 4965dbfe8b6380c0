"""What is fuzzed: everything that reads a file which somebody else may have made."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
import yaml
from safetensors.torch import save

from seqebm import graphs
from seqebm.data import DataDir, ReaderPool
from seqebm.data.archives import unpack
from seqebm.data.validation import validate
from seqebm.inference.search import Search
from seqebm.models import Recognizer, storage
from seqebm.models.config import load_config, parse_config
from seqebm.training.checkpoints import Checkpoint


@dataclass(frozen=True)
class Target:
    """One way in.

    Attributes:
        name: what it is called.
        suffix: how its files end.
        seeds: good files, which are damaged.
        read: reads the file at a path; may raise nothing but :class:`seqebm.errors.SeqebmError`.
        prepare: what becomes of damaged bytes before they are a file.
    """

    name: str
    suffix: str
    seeds: list[bytes]
    read: Callable[[Path], Any]
    prepare: Callable[[bytes], bytes] = bytes


def targets() -> dict[str, Target]:
    """All of them by name."""
    return {t.name: t for t in [*_texts(), *_signals(), *_models()]}


def _texts() -> Iterator[Target]:
    lexicon = "one W AH N\ntwo T UW\ntwo 0.5 T UH\nnaïve(2) N AY # note\n"
    yield Target("lexicon", ".txt", [lexicon.encode()], graphs.Lexicon.read)
    arpa = (
        "\\data\\\nngram 1=4\nngram 2=2\n\n\\1-grams:\n-1.0 <s> -0.3\n-0.5 one -0.2\n-0.7 two\n"
        "-1.1 </s>\n\n\\2-grams:\n-0.2 <s> one\n-0.3 one two\n\n\\end\\\n"
    )
    yield Target("arpa", ".arpa", [arpa.encode(), gzip.compress(arpa.encode())], _arpa)
    graph = "0 1 1 1 0.5\n1 2 2 2 1.5\n2 0 3 3\n2 0.25\n"
    yield Target("openfst", ".txt", [graph.encode()], graphs.read_text)
    symbols = "<eps> 0\none 1\ntwo 2\n"
    yield Target("symbols", ".syms", [symbols.encode()], graphs.read_symbols)
    words = b"one two\nthree\n"
    yield Target("strings", ".txt", [words, words.decode().encode("utf-16")], _strings)
    config = yaml.safe_dump(_CONFIG).encode()
    yield Target("config", ".yaml", [config, b"base: none.yaml\nloss: nll\n"], load_config)
    for name, seed in {
        "text": "u1 one two\nu2 two\n", "wav.scp": "r1 a.wav\nu2 b.wav\n",
        "segments": "u1 r1 0.0 0.5\nu2 u2 8samples 400samples 0\n", "utt2spk": "u1 s\nu2 s\n",
        "reco2rate": "r1 8000\nu2 8000\n",
    }.items():  # fmt: skip
        yield Target(f"data/{name}", "", [seed.encode()], _data_dir(name))


def _signals() -> Iterator[Target]:
    rng = np.random.default_rng(0)
    tone = (0.3 * np.sin(np.arange(800) / 5)).astype(np.float32)
    for form, subtype in (("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("AU", "ULAW"), ("OGG", "VORBIS")):
        file = io.BytesIO()
        soundfile.write(file, np.stack([tone, -tone], 1), 8000, format=form, subtype=subtype)
        suffix = f".{form.lower()}"
        yield Target(f"audio/{form.lower()}", suffix, [file.getvalue()], _reads("audio", 8000))
    array = io.BytesIO()
    np.save(array, rng.standard_normal((20, 13)).astype(np.float32))
    yield Target("features/npy", ".npy", [array.getvalue()], _reads("features", 100))
    frames = rng.standard_normal((20, 13)).astype(">f4").tobytes()
    mfc = struct.pack(">i", 260) + frames
    yield Target("features/mfc", ".mfc", [mfc], _reads("features", 100))
    inkml = (
        '<ink xmlns="http://www.w3.org/2003/InkML"><definitions><context xml:id="c"><traceFormat>'
        '<channel name="X" type="decimal"/><channel name="Y" type="decimal"/><channel name="T" '
        'type="integer" units="ms"/></traceFormat></context></definitions><trace '
        'contextRef="#c">1 2 0, 3 4 10, 5 6 20</trace><trace id="b">1 1 30, \'2 \'2 \'10, "1 "1 "1'
        "</trace><traceGroup><annotation type='truth'>a</annotation><traceView "
        "traceDataRef='#b'/></traceGroup></ink>"
    )
    yield Target("ink/inkml", ".inkml", [inkml.encode()], _reads("ink", 100))
    strokes = (
        '{"strokes": [[[1, 2, 0, 5], [3, 4, 10, 6]], [[5, 6, 20, 7]]], "y_axis": "up", '
        '"time_unit": "ms", "units_per_mm": 10, "pen_up": [1], "label": "a"}'
    )
    yield Target("ink/json", ".json", [strokes.encode()], _reads("ink", 100))
    unipen = (
        ".VERSION 1.0\n.COORD X Y T\n.X_POINTS_PER_INCH 254\n.POINTS_PER_SECOND 100\n.PEN_DOWN\n"
        " 0 0 1000\n 1 2 1010\n.PEN_UP\n.DT 50\n.PEN_DOWN\n 5 5 1100\n 6 7 1110\n.PEN_UP\n"
        '.SEGMENT WORD 0-1 OK "hi"\n'
    )
    yield Target("ink/unipen", ".dat", [unipen.encode()], _reads("ink", 100))
    yield Target("archive", ".tar.gz", [_tar()], _unpacked, gzip.compress)


def _models() -> Iterator[Target]:
    model = Recognizer(parse_config(_CONFIG), ("one", "two"))
    tensors = {name: t.clone() for name, t in model.state_dict().items()}
    described = yaml.safe_dump(storage._plain(model.description()), sort_keys=False)

    def whole(description: bytes) -> bytes:
        """A file whose checksum is right, whatever its description says."""
        header = {
            "format": "seqebm", "format_version": str(storage.FORMAT_VERSION),
            "seqebm_version": "fuzz", "description": description.decode("utf-8", "replace"),
        }  # fmt: skip
        return save(tensors, header | {"sha256": storage._checksum(tensors, header)})

    good = whole(described.encode())
    yield Target("model/file", ".safetensors", [good], Recognizer.load)
    yield Target("model/description", ".safetensors", [described.encode()], Recognizer.load, whole)
    state = {"state": {0: {"step": 3.0, "exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]}
    checkpoint = Checkpoint(1, 3, tensors, state, model.description(), {}, [{"epoch": 1}], {})
    yield Target("model/checkpoint", ".safetensors", [_saved(checkpoint)], Checkpoint.load)


_CONFIG = {
    "frontend": {"name": "logmel", "rate": 8000, "mels": 8, "reader": {"mixdown": "first"}},
    "features": {"name": "tdnn", "channels": 4, "kernels": [3, 3], "strides": [2, 1]},
    "lattice": {
        "name": "hmm", "states": 2, "tokens": "words",
        "lexicon": {"name": "lexicon.txt", "text": "one W AH N\ntwo T UW\n"},
    },
    "inference": {"name": "beam", "beta": 2.0, "beam": 12.0},
    "loss": {"name": "nll"},
    "training": {"epochs": 2, "batch_size": 8},
}  # fmt: skip


def _arpa(path: Path) -> Any:
    return graphs.ngram(graphs.read_arpa(path))


def _strings(path: Path) -> Any:
    from seqebm.hooks.registry import validate as checked

    return checked(Search, {"lexicon": str(path)}, "inference")


def _reads(kind: str, rate: int) -> Callable[[Path], Any]:
    pool = ReaderPool(kind)

    def read(path: Path) -> Any:
        samples = pool.for_path(path).read(path, rate, limit=60.0)
        assert len(samples) and np.isfinite(samples).all()
        return samples

    return read


def _data_dir(name: str) -> Callable[[Path], Any]:
    """A data directory, of which one file is damaged."""
    good = {
        "wav.scp": "r1 a.wav\nu2 b.wav\n", "text": "u1 one\nu2 two\n",
        "segments": "u1 r1 0 0.5\nu2 u2 0 -1\n",
    }  # fmt: skip

    def read(path: Path) -> Any:
        folder = path.with_name(path.name + ".d")
        if not folder.exists():
            folder.mkdir()
            for wav in ("a.wav", "b.wav"):
                soundfile.write(folder / wav, np.zeros(8000, np.float32), 8000)
        for other, content in good.items():
            (folder / other).write_text(content)
        (folder / name).write_bytes(path.read_bytes())
        validate(folder)
        return DataDir.load(folder)

    return read


def _tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in ("a.wav", "long/" + "n" * 150 + ".wav", "ünï.wav"):
            member = tarfile.TarInfo(name)
            member.size = 100
            tar.addfile(member, io.BytesIO(b"x" * 100))
    return file.getvalue()


def _unpacked(path: Path) -> Any:
    place = path.with_name("unpacked")
    return unpack(path, place, lambda name: f"{len(name) % 10}.bin", "fuzz")


def _saved(checkpoint: Checkpoint) -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return checkpoint.save(Path(folder), 1).read_bytes()
