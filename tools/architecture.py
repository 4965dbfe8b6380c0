"""What imports what, read from the code itself; draws docs/pictures/architecture.png.

python -m tools.architecture     draws it

tests/test_house.py holds the house to its rules with the same functions.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
CORE = ROOT / "seqebm"
PICTURE = ROOT / "docs" / "pictures" / "architecture.png"

#: From above to below: a package imports only what stands after it.
LAYERS = (
    "cli", "training", "decoding", "scoring", "pictures", "models", "losses", "features",
    "lattices", "inference", "graphs", "kernels", "data", "hooks",
)  # fmt: skip


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


def between_layers() -> Counter[tuple[str, str]]:
    """How many modules of one package import something of another."""
    pairs = set()
    for layer in LAYERS:
        for path, name in arrows(CORE / layer):
            parts = name.split(".")
            if parts[0] == "seqebm" and len(parts) > 1 and parts[1] in LAYERS:
                pairs.add((layer, parts[1], path))
    return Counter((a, b) for a, b, _ in pairs if a != b)


def main() -> None:
    """Draw the packages one below the other, and an arc for each that imports another."""
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyArrowPatch

    figure = Figure(figsize=(9, 8), layout="constrained")
    axes = figure.subplots()
    place = {layer: -row for row, layer in enumerate(LAYERS)}
    lines = {
        layer: sum(len(p.read_text("utf-8").splitlines()) for p in (CORE / layer).rglob("*.py"))
        for layer in LAYERS
    }
    for layer, y in place.items():
        axes.text(
            0, y, f"{layer}/  ({lines[layer]:,} lines)", ha="center", va="center", fontsize=10,
            bbox={"boxstyle": "round", "facecolor": "#eef3fa", "edgecolor": "#4a6fa5"},
        )  # fmt: skip
    for (above, below), count in between_layers().items():
        # Neighbours on the right, what reaches further on the left: fewer lines cross.
        near = place[above] - place[below] <= 3
        side = 0.75 if near else -0.75
        axes.add_patch(
            FancyArrowPatch(
                (side, place[above]), (side, place[below]), arrowstyle="-|>", mutation_scale=9,
                connectionstyle=f"arc3,rad={-0.35 if near else 0.35}",
                linewidth=0.4 + 0.35 * count**0.6, color="#c0552d" if near else "#4a6fa5",
                alpha=0.75,
            )
        )  # fmt: skip
    axes.set(xlim=(-4.2, 4.2), ylim=(-len(LAYERS) + 0.3, 0.7))
    axes.set_title("who imports whom; a thick line: many modules do")
    axes.axis("off")
    figure.savefig(PICTURE, dpi=90)


if __name__ == "__main__":
    main()
