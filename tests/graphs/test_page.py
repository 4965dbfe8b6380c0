"""The snippets of docs/graphs.md print what the page says."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import seqebm.graphs

PAGE = (Path(__file__).parents[2] / "docs" / "graphs.md").read_text(encoding="utf-8")


def test_snippets_print_what_the_page_says():
    namespace: dict = {}
    blocks = re.findall(r"^```(python|text)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert [kind for kind, _ in blocks] == ["python", "text"] * (len(blocks) // 2)
    for (_, code), (_, expected) in zip(blocks[::2], blocks[1::2], strict=True):
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(code, namespace)
        assert output.getvalue() == expected


def test_functions_of_the_page_exist():
    table = PAGE.split("## Builders")[1].split("\n\n")[1]
    first = [row.split("|")[1] for row in table.splitlines()[2:]]
    names = re.findall(r"`(\w+)`", " ".join(first))
    assert len(names) > 10 and all(hasattr(seqebm.graphs, name) for name in names)
