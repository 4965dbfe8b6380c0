"""Checks of front-ends and readers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqebm.errors import SeqebmError
from seqebm.features.base import FrontEnd
from seqebm.testing import modules
from seqebm.testing.findings import Finding, Verdict, collect


def check_frontend(make: Callable[[], Any], signals: list[Tensor] | None = None) -> list[Finding]:
    """Look at a front-end.

    Args:
        make: makes a new front-end, as ``factory(options)`` does.
        signals: examples ``(N, ...)``; default: three noises of about a second, which suits audio.

    Returns a finding for each check: shapes, padding, saving, pickling, speed.
    """
    torch.manual_seed(0)
    frontend = make()
    found = list(collect([("module", lambda: modules.is_module(frontend))]))
    if not found[0].passed:
        return found
    rate = int(frontend.rate)
    own = signals or [torch.randn(n) * 0.1 for n in (rate, rate // 2, (3 * rate) // 4)]
    lengths = torch.tensor([len(s) for s in own])
    padded = torch.nn.utils.rnn.pad_sequence(own, batch_first=True)
    frontend.fit([(padded, lengths)])
    frontend.eval()

    def output(module: Any, device: str = "cpu") -> Tensor:
        with torch.no_grad():
            return module(padded.to(device), lengths.to(device))[0]

    return found + list(
        collect(
            [
                ("shapes", lambda: _shapes(frontend, padded, lengths)),
                ("padding", lambda: _padding(frontend, own, padded, lengths)),
                ("same again", lambda: _same(output(frontend), output(frontend))),
                ("save and load", lambda: modules.round_trip(frontend, make().eval(), output)),
                ("pickle", lambda: modules.pickles(frontend)),
                ("speed", lambda: modules.speed(lambda: output(frontend), len(own), "an input")),
            ]
        )
    )


def _shapes(frontend: Any, padded: Tensor, lengths: Tensor) -> Verdict:
    if not isinstance(frontend, FrontEnd):
        return False, "it is no seqebm.hooks.FrontEnd: nothing knows how to ask it"
    for name in ("reads", "rate", "limit", "output_dim", "frame_shift"):
        if getattr(frontend, name, None) is None:
            return False, f"it lacks the attribute {name!r} (seqebm.hooks.FrontEnd)"
    frames, counts = frontend(padded, lengths)
    if frames.ndim != 3 or frames.shape[2] != frontend.output_dim:
        return False, f"frames {tuple(frames.shape)}; wanted (B, T, output_dim)"
    if int(counts.max()) > frames.shape[1] or int(counts.min()) < 1:
        return False, f"lengths {counts.tolist()} of {frames.shape[1]} frames"
    return True, f"{lengths.tolist()} -> {counts.tolist()} frames of {frontend.output_dim}"


def _padding(frontend: Any, own: list[Tensor], padded: Tensor, lengths: Tensor) -> Verdict:
    rubbish = padded.clone()
    for b, n in enumerate(lengths.tolist()):
        rubbish[b, n:] = 1e3
    with torch.no_grad():
        frames, counts = frontend(rubbish, lengths)
        for b, signal in enumerate(own):
            alone, count = frontend(signal[None], lengths[b : b + 1])
            if int(count[0]) != int(counts[b]):
                return (
                    False,
                    f"input {b}: {int(count[0])} frames alone, {int(counts[b])} in a batch",
                )
            apart = float((alone[0, : counts[b]] - frames[b, : counts[b]]).abs().max())
            if not apart < 1e-3 * max(1.0, float(alone.abs().max())):
                return False, f"input {b} differs by {apart:.2g} when it is padded or has company"
    return True, "neither padding nor company changes an input"


def _same(one: Tensor, two: Tensor) -> Verdict:
    same = bool(torch.equal(one, two))
    return same, "no chance in evaluation mode" if same else "differs from call to call"


def check_reader(reader: Any, path: Path, rate: int, scratch: Path) -> list[Finding]:
    """Look at a reader of files.

    Args:
        reader: the reader.
        path: a sound file that it reads.
        rate: samples a second that are asked for.
        scratch: a directory for damaged copies of the file.

    Returns a finding for each check: what it declares and gives, and that missing, empty, truncated
    and damaged files end in a message that names the file.
    """
    return list(
        collect(
            [
                ("declares", lambda: _declares(reader, path)),
                ("reads", lambda: _reads(reader, path, rate)),
                ("bad files", lambda: _bad(reader, path, rate, scratch)),
                ("pickle", lambda: modules.pickles(reader)),
            ]
        )
    )


def _declares(reader: Any, path: Path) -> Verdict:
    if path.suffix.lower() not in reader.suffixes:
        return False, f"suffixes {reader.suffixes} lack {path.suffix!r}"
    return True, f"{reader.kind}: {', '.join(reader.suffixes)}"


def _reads(reader: Any, path: Path, rate: int) -> Verdict:
    values = np.asarray(reader.read(path, rate))
    if values.dtype != np.float32 or values.ndim not in (1, 2) or not len(values):
        return False, f"{values.dtype} {values.shape}; wanted float32 (N,) or (N, channels)"
    if not np.isfinite(values).all():
        return False, "some values are not finite"
    return True, f"{values.shape} float32"


def _bad(reader: Any, path: Path, rate: int, scratch: Path) -> Verdict:
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    cases = {"missing": None, "empty": b"", "noise": rng.bytes(200)}
    cases |= {f"cut at {share:.0%}": content[: int(share * len(content))] for share in (0.1, 0.6)}
    for name, data in cases.items():
        bad = scratch / f"bad{path.suffix}"
        bad.unlink(missing_ok=True)
        if data is not None:
            bad.write_bytes(data)
        try:
            reader.read(bad, rate)
        except SeqebmError as error:
            if bad.name not in str(error):
                return False, f"{name}: the message does not name the file: {error}"
        except Exception as error:
            return False, f"{name}: {type(error).__name__} instead of a DataError: {error}"
        else:
            if name in ("missing", "empty"):
                return False, f"{name}: was read"
    return True, f"{len(cases)} damaged files end in a message"
