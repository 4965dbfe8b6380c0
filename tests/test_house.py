"""The house keeps its rules: which way imports run, and where things may stand."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

import seqebm
from tools.architecture import LAYERS, arrows, between_layers, imported

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


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_run_downwards(layer):
    below = LAYERS[LAYERS.index(layer) :]
    for path, name in arrows(CORE / layer):
        parts = name.split(".")
        if parts[0] == "seqebm" and len(parts) > 1 and parts[1] in LAYERS:
            assert parts[1] in below, f"{path.relative_to(CORE)} imports {name}"


def test_first_party_plugins_come_by_the_door():
    for package in sorted((CORE.parent / "plugins").glob("*/seqebm_*")) + sorted(
        (CORE.parent / "plugins/examples").glob("*/seqebm_*")
    ):
        for path, name in arrows(package):
            if name.split(".")[0] == "seqebm":
                assert name.startswith("seqebm.hooks"), f"{path} imports {name}"


#: What asks by name: values of options and records, modules by import path, and the plugin host.
MAY_ASK = {
    "seqebm/__init__.py", "seqebm/cli/align.py", "seqebm/cli/doctor.py", "seqebm/data/__init__.py",
    "seqebm/data/archives.py", "seqebm/features/tdnn.py", "seqebm/graphs/graph.py",
    "seqebm/graphs/trim.py", "seqebm/hooks/__init__.py", "seqebm/hooks/manager.py",
    "seqebm/hooks/registry.py", "seqebm/inference/search.py", "seqebm/kernels/machine/checks.py",
    "seqebm/kernels/machine/cuda.py", "seqebm/kernels/machine/cuda_dispatch.py",
    "seqebm/kernels/machine/threads.py", "seqebm/models/config.py", "seqebm/testing/frontends.py",
    "seqebm/testing/lattices.py", "seqebm/testing/losses.py", "seqebm/training/diagnosis.py",
}  # fmt: skip


def test_nothing_asks_what_a_component_can_do():
    asking = re.compile(r"\b(hasattr|getattr|setattr)\(")
    found = {
        path.relative_to(CORE.parent).as_posix()
        for path in CORE.rglob("*.py")
        if asking.search(path.read_text(encoding="utf-8"))
    }
    assert found <= MAY_ASK


def test_every_package_is_a_layer_and_is_used():
    packages = {p.name for p in CORE.iterdir() if (p / "__init__.py").exists()}
    assert packages - {"testing"} == set(LAYERS)
    assert {below for _, below in between_layers()} == set(LAYERS) - {"cli"}


def test_files_of_tests_have_names_of_their_own():
    """pytest would refuse the second of two, and only when both are collected."""
    root = CORE.parent
    folders = [root / "tests", *root.glob("plugins/*/tests")]
    names = Counter(path.name for folder in folders for path in folder.rglob("test_*.py"))
    assert not [name for name, count in names.items() if count > 1]
