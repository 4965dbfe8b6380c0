"""What the hooks package promises about itself."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import seqebm.hooks
from seqebm.hooks import hookspecs
from seqebm.hooks.registry import KINDS
from tools.architecture import imported

FOLDER = Path(seqebm.hooks.__file__).parent
HOOKS = {
    name: function
    for name, function in inspect.getmembers(hookspecs, inspect.isfunction)
    if name.startswith("seqebm_")
}


def test_there_are_hooks():
    assert len(HOOKS) >= 12
    assert {f"seqebm_register_{kind}" for kind in KINDS} <= set(HOOKS)


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_is_a_specification_and_documented(name):
    assert hasattr(HOOKS[name], "seqebm_spec"), f"{name} lacks @hookspec"
    assert len((HOOKS[name].__doc__ or "").split()) >= 4, f"{name} needs a docstring"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.name)
def test_hooks_import_nothing_of_seqebm_but_its_floor(path):
    allowed = ("seqebm.errors", "seqebm.text", "seqebm.hooks")
    for name in imported(path.read_text(encoding="utf-8")):
        if name.split(".")[0] == "seqebm":
            below = name.startswith(tuple(f"{module}." for module in allowed))
            assert name in allowed or below, f"{path.name}: {name}"


def test_importing_the_hooks_does_not_import_torch():
    code = (
        "import sys, seqebm.hooks; seqebm.hooks.PluginHost(load_installed=False);"
        "sys.exit(any(m in sys.modules for m in ('torch', 'numpy', 'typer')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
