"""What the hooks package promises about itself."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import seqebm.hooks
from seqebm.hooks import hookspecs
from seqebm.hooks.registry import KINDS

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


def imports(tree):
    """Absolute names of the modules that are imported at run time."""
    hidden = {
        node
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING"
        for child in branch.body
        for node in ast.walk(child)
    }
    for node in ast.walk(tree):
        if node in hidden:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide what is imported"
            yield node.module
            if node.module == "seqebm":
                yield from (f"seqebm.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.name)
def test_hooks_import_nothing_of_seqebm_but_errors(path):
    allowed = ("seqebm.errors", "seqebm.hooks")
    for name in imports(ast.parse(path.read_text(encoding="utf-8"))):
        if name.split(".")[0] == "seqebm":
            assert name in allowed or name.startswith("seqebm.hooks."), f"{path.name}: {name}"


def test_the_import_check_sees_imports():
    code = "import seqebm.data\nfrom seqebm import models\nif TYPE_CHECKING:\n    import torch\n"
    assert list(imports(ast.parse(code))) == ["seqebm.data", "seqebm", "seqebm.models"]


def test_importing_the_hooks_does_not_import_torch():
    code = (
        "import sys, seqebm.hooks; seqebm.hooks.PluginHost(load_installed=False);"
        "sys.exit(any(m in sys.modules for m in ('torch', 'numpy', 'typer')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
