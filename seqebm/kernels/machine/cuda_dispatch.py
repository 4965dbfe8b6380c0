"""Which operators run on a GPU: each is imported when the first tensor that lies there comes.

Importing this costs nothing; :mod:`seqebm.kernels.machine.cuda` and Numba's CUDA target are
loaded by the first call.
"""

from __future__ import annotations

import importlib
from typing import Any

import torch

_OPERATORS = {
    "warp_free_energies": ("warp.cuda", "free_energies"),
    "warp_pair_energies": ("warp.cuda", "pair_energies"),
    "warp_feature_energies": ("warp.cuda", "feature_energies"),
    "trellis_free_energies": ("trellis.cuda", "free_energies"),
    "trellis_emission_gradient": ("trellis.cuda", "emission_gradient"),
    "trellis_entry_gradient": ("trellis.cuda", "entry_gradient"),
    "chain_free_energies": ("chain.cuda", "free_energies"),
    "chain_best_paths": ("chain.cuda", "best_paths"),
    "chain_path_energies": ("chain.cuda", "path_energies"),
    "dag_free_energies": ("dag.cuda", "free_energies"),
}


def module(name: str) -> Any:
    """A module of CUDA kernels. Raises RuntimeError that says what to do if they cannot run."""
    from seqebm.kernels.machine import cuda

    if not cuda.available():
        raise RuntimeError(
            "the tensors are on a GPU, but Numba finds no CUDA driver or toolkit for its kernels: "
            "call .cpu() on them (gradients flow back), or see 'seqebm doctor'"
        )
    return importlib.import_module(f"seqebm.kernels.{name}")


def register(operator: str) -> None:
    """Give an operator its CUDA implementation."""
    where, function = _OPERATORS[operator]

    @torch.library.impl(f"seqebm::{operator}", "cuda")
    def run(*arguments: Any) -> Any:
        return getattr(module(where), function)(*arguments)
