"""Contenders on a GPU, where there is one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def on_cuda(make: Callable[..., Any]) -> Callable[[], Any]:
    """The same job with its tensors on the GPU; results come back, so all of it is timed."""

    def job() -> Any:
        import torch

        if not torch.cuda.is_available():
            raise ImportError("there is no CUDA device")
        return make(device="cuda")

    return job
