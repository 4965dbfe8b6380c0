"""All rows, by name. See :mod:`tools.bench.row`."""

from __future__ import annotations

from tools.bench import chain_jobs, dag_jobs, graph_jobs, warp_jobs
from tools.bench.row import Array, Row

ROWS: dict[str, Row] = warp_jobs.ROWS | chain_jobs.ROWS | graph_jobs.ROWS | dag_jobs.ROWS


def exact(row: str) -> Array:
    """The result of a row in float64, which every contender is compared with."""
    import torch

    return ROWS[row].contenders["seqebm"](torch.float64)()
