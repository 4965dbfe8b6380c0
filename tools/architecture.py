"""What imports what, read from the code itself.

Used by tests/test_house.py, which holds the house to its rules.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]


def imported(source: str) -> Iterator[str]:
    """Absolute names that a module's source imports when it runs, in functions too.

    What stands under ``if TYPE_CHECKING:`` is left out. Of ``from package import name`` both
    ``package`` and ``package.name`` are given, as the name may be a module.
    """
    tree = ast.parse(source)
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
            if node.level or node.module is None:
                raise ValueError("relative imports hide what is imported")
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def arrows(folder: Path) -> Iterator[tuple[Path, str]]:
    """Each module of a folder with each name that it imports."""
    for path in sorted(folder.rglob("*.py")):
        for name in imported(path.read_text(encoding="utf-8")):
            yield path, name
