"""The house keeps its rules: which way imports run, and where things may stand."""

from __future__ import annotations

from pathlib import Path

import pytest

import seqebm
from tools.architecture import arrows, imported

CORE = Path(seqebm.__file__).parent
FAMILIES = ("chain", "dag", "trellis", "warp")
DOORS = {"ops.py", "operators.py", "reference.py", "cpu.py", "cuda.py"}


def test_the_import_check_sees_imports():
    code = "import seqebm.data\nfrom seqebm import models\nif TYPE_CHECKING:\n    import torch\n"
    assert list(imported(code)) == ["seqebm.data", "seqebm", "seqebm.models"]


def test_every_family_of_kernels_has_the_same_doors():
    assert {p.name for p in (CORE / "kernels").iterdir() if (p / "ops.py").exists()} == {*FAMILIES}
    for family in FAMILIES:
        assert {p.name for p in (CORE / "kernels" / family).glob("*.py")} >= DOORS, family


@pytest.mark.parametrize("room", [*FAMILIES, "machine"])
def test_no_family_of_kernels_imports_another(room):
    for path, name in arrows(CORE / "kernels" / room):
        if name.startswith("seqebm.kernels."):
            assert name.split(".")[2] in (room, "machine"), f"{path.name} imports {name}"
