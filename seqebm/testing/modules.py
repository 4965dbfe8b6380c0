"""Checks that all trainable components share: features, lattices and front-ends."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from seqebm.testing.findings import Verdict

_REPETITIONS = 5


def is_module(component: object) -> Verdict:
    """Whether it is a module, so that its parameters are trained and saved."""
    if not isinstance(component, nn.Module):
        return False, "it is no torch.nn.Module: nothing of it would be trained or saved"
    return True, f"{sum(p.numel() for p in component.parameters())} parameters"


def pickles(component: object) -> Verdict:
    """Whether a data loader's worker could receive it."""
    pickle.loads(pickle.dumps(component))
    return True, "can be sent to worker processes"


def round_trip(
    component: nn.Module, fresh: nn.Module, run: Callable[[nn.Module], Tensor]
) -> Verdict:
    """Whether a state dict has all that the output depends on."""
    before = run(component)
    fresh.load_state_dict(component.state_dict())
    after = run(fresh)
    same = before.shape == after.shape and bool(torch.equal(before, after))
    return same, (
        "saved and loaded, it computes the same"
        if same
        else "saved and loaded, it computes something else: keep what it depends on in parameters "
        "or buffers"
    )


def speed(run: Callable[[], object], per: int, unit: str) -> Verdict:
    """How long it takes; nothing fails here, but a second an item is worth a look."""
    run()
    started = time.perf_counter()
    for _ in range(_REPETITIONS):
        run()
    milliseconds = 1e3 * (time.perf_counter() - started) / _REPETITIONS / per
    return milliseconds < 1000, f"{milliseconds:.2f} ms {unit}"


def on_cuda(component: nn.Module, run: Callable[[nn.Module, str], Tensor]) -> Verdict:
    """Whether it computes the same on a GPU, where there is one."""
    if not torch.cuda.is_available():
        return True, "not checked: no CUDA device"
    here = run(component, "cpu")
    there = run(component.to("cuda"), "cuda").cpu()
    component.to("cpu")
    apart = float((here - there).abs().max())
    return apart < 1e-3 * max(1.0, float(here.abs().max())), f"differs by {apart:.1e} from the CPU"
