"""An eye on the energy surface while a model is trained: EXP/diagnosis.json, and warnings."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import torch

from seqebm.data import SignalDataset
from seqebm.errors import DataError
from seqebm.files import write_text
from seqebm.models import Recognizer
from seqebm.training.diagnosis import batches_of, diagnose

logger = logging.getLogger(__name__)


class Watch:
    """Diagnoses a model now and then, and warns of each fault once.

    Args:
        path: the file of the newest diagnosis.
        data: what the model is trained on.
        seed: chooses the items that are looked at; the random numbers of training are not touched.
        device: where the model is.
    """

    def __init__(self, path: Path, data: SignalDataset, seed: int, device: torch.device) -> None:
        self.path, self.data, self.seed, self.device = path, data, seed, device
        self.warned: set[str] = set()
        self.gap_before: float | None = None  # |I - C| of the untrained model

    def resume(self) -> None:
        """Remember the gaps of the untrained model, if a diagnosis has been written."""
        if self.path.is_file():
            self.gap_before = json.loads(self.path.read_text()).get("gap_before")

    def look(self, model: Recognizer, epoch: int, items: int) -> None:
        """Diagnose a model after so many epochs, on so many training items at most."""
        chosen = torch.randperm(len(self.data), generator=torch.Generator().manual_seed(self.seed))
        examples = [self.data[int(index)] for index in chosen[:items]]
        try:
            batches = [b.to(self.device) for b in batches_of(examples)]
            found = diagnose(model, batches, self.gap_before)
        except (DataError, ValueError) as error:  # training itself says so where it matters
            logger.debug("no diagnosis: %s", error)
            return
        if self.gap_before is None and epoch == 0:
            self.gap_before = min(found.typical_gap, sys.float_info.max)
        report = {"epoch": epoch, "gap_before": self.gap_before, **found.as_dict()}
        write_text(self.path, json.dumps(report, indent=1) + "\n")
        for fault in found.warnings:
            if epoch and fault.name not in self.warned:
                logger.warning("epoch %d: %s: %s", epoch, fault.name, fault)
                self.warned.add(fault.name)
