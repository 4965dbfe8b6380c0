"""Checks of feature extractors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from seqebm.testing import modules
from seqebm.testing.findings import Finding, Verdict, collect

_DIM = 12  # of the frames
_LENGTHS = (17, 40, 5)


def check_features(make: Callable[[int], Any]) -> list[Finding]:
    """Look at a feature extractor.

    Args:
        make: input_dim -> a new extractor, as ``factory(options, input_dim)`` makes it.

    Returns a finding for each check: output shapes and lengths, independence of padding and of the
    other items, gradients, saving, pickling, GPU, speed.
    """
    torch.manual_seed(0)
    extractor = make(_DIM)
    found = list(collect([("module", lambda: modules.is_module(extractor))]))
    if not found[0].passed:
        return found
    extractor.eval()
    lengths = torch.tensor(_LENGTHS)
    frames = torch.randn(len(_LENGTHS), max(_LENGTHS), _DIM)

    def output(module: Any, device: str = "cpu") -> Tensor:
        with torch.no_grad():
            return module(frames.to(device), lengths.to(device))[0]

    return found + list(
        collect(
            [
                ("shapes", lambda: _shapes(extractor, frames, lengths)),
                ("padding", lambda: _padding(extractor, frames, lengths)),
                ("gradients", lambda: _gradients(extractor, frames, lengths)),
                ("save and load", lambda: modules.round_trip(extractor, make(_DIM).eval(), output)),
                ("pickle", lambda: modules.pickles(extractor)),
                ("CUDA", lambda: modules.on_cuda(extractor, output)),
                (
                    "speed",
                    lambda: modules.speed(lambda: output(extractor), sum(_LENGTHS), "a frame"),
                ),
            ]
        )
    )


def _shapes(extractor: Any, frames: Tensor, lengths: Tensor) -> Verdict:
    out, counts = extractor(frames, lengths)
    dim, by = extractor.output_dim, extractor.subsampling
    wanted = -(-lengths // by)
    if out.ndim != 3 or out.shape[0] != len(frames) or out.shape[2] != dim:
        return False, f"output {tuple(out.shape)}; wanted: (3, frames, output_dim = {dim})"
    if not torch.equal(torch.as_tensor(counts).cpu(), wanted):
        return False, (
            f"lengths {list(_LENGTHS)} became {counts.tolist()}; with subsampling = {by} they "
            f"should be {wanted.tolist()}"
        )
    if out.shape[1] < int(wanted.max()):
        return False, f"{out.shape[1]} frames in the output, but a length of {int(wanted.max())}"
    return True, f"(B, T / {by}, {dim}), {out.dtype}"


def _padding(extractor: Any, frames: Tensor, lengths: Tensor) -> Verdict:
    """Each item alone, without padding, must give what it gives in a batch padded with rubbish."""
    with torch.no_grad():
        padded = frames.clone()
        for b, n in enumerate(lengths.tolist()):
            padded[b, n:] = 1e4
        out, counts = extractor(padded, lengths)
        for b, n in enumerate(lengths.tolist()):
            alone, _ = extractor(frames[b : b + 1, :n], lengths[b : b + 1])
            apart = float((alone[0, : counts[b]] - out[b, : counts[b]]).abs().max())
            if not apart < 1e-4 * max(1.0, float(alone.abs().max())):
                return False, f"item {b} differs by {apart:.2g} when it is padded or has company"
    return True, "neither padding nor company changes an item (in evaluation mode)"


def _gradients(extractor: Any, frames: Tensor, lengths: Tensor) -> Verdict:
    extractor.train()
    leaf = frames.clone().requires_grad_()
    out, _ = extractor(leaf, lengths)
    out.square().sum().backward()
    extractor.eval()
    idle = [n for n, p in extractor.named_parameters() if p.requires_grad and p.grad is None]
    for parameter in extractor.parameters():
        parameter.grad = None
    if idle:
        return False, f"no gradient reaches {', '.join(idle[:3])}"
    if leaf.grad is None or not bool(torch.isfinite(leaf.grad).all()):
        return False, "the gradient at the frames is missing or not finite"
    return True, "reach every parameter and the frames, finite"
