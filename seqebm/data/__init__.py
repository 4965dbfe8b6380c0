"""Data directories, their validation, and batches of signals.

Names load on first use: only the batching needs torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "DataDir": "seqebm.data.datadir",
    "Utterance": "seqebm.data.datadir",
    "write_data_dir": "seqebm.data.writing",
    "Problem": "seqebm.data.tables",
    "read_text": "seqebm.data.tables",
    "read_transcripts": "seqebm.data.foreign",
    "write_table": "seqebm.data.tables",
    "ReaderPool": "seqebm.data.readers",
    "validate": "seqebm.data.validation",
    "droppable": "seqebm.data.validation",
    "fix": "seqebm.data.validation",
    "Batch": "seqebm.data.batching",
    "Example": "seqebm.data.batching",
    "LengthBucketedSampler": "seqebm.data.batching",
    "SignalDataset": "seqebm.data.batching",
    "collate": "seqebm.data.batching",
}

__all__ = [
    "Batch",
    "DataDir",
    "Example",
    "LengthBucketedSampler",
    "Problem",
    "ReaderPool",
    "SignalDataset",
    "Utterance",
    "collate",
    "droppable",
    "fix",
    "read_text",
    "read_transcripts",
    "validate",
    "write_data_dir",
    "write_table",
]

if TYPE_CHECKING:
    from seqebm.data.batching import (
        Batch,
        Example,
        LengthBucketedSampler,
        SignalDataset,
        collate,
    )
    from seqebm.data.datadir import DataDir, Utterance
    from seqebm.data.foreign import read_transcripts
    from seqebm.data.readers import ReaderPool
    from seqebm.data.tables import Problem, read_text, write_table
    from seqebm.data.validation import droppable, fix, validate
    from seqebm.data.writing import write_data_dir


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'seqebm.data' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
