#!/usr/bin/env python
"""The errors of models under troubles beside clean ones: a column for each, from MODEL/robust.

usage: troubles.py MODEL...
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def errors(model: Path) -> dict[str, float]:
    """Word error rate in percent by trouble, clean first."""
    found = {
        path.parent.name: 100 * json.loads(path.read_text(encoding="utf-8"))["wer"]
        for path in sorted(model.glob("robust/*/score.json"))
    }
    return {name: found[name] for name in sorted(found, key=lambda n: (n != "clean", n))}


def main() -> None:
    """Print the table."""
    models = [Path(argument) for argument in sys.argv[1:]]
    columns = [errors(model) for model in models]
    if not models or not all(columns):
        sys.exit(__doc__ if not models else "no robust/*/score.json: run with --robust first")
    print(f"| words wrong, % | {' | '.join(f'`{model}`' for model in models)} |")
    print(f"|---|{'---|' * len(models)}")
    for name in columns[0]:
        cells = (f"{column[name]:.1f}" if name in column else "" for column in columns)
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
