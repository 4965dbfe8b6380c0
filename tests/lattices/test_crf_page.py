"""The snippets of docs/crf.md print what the page says."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "crf.md").read_text(encoding="utf-8")


def test_snippets_print_what_the_page_says():
    namespace: dict = {}
    blocks = re.findall(r"^```(python|text)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert [kind for kind, _ in blocks] == ["python", "text"] * 2
    for (_, code), (_, expected) in zip(blocks[::2], blocks[1::2], strict=True):
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(code, namespace)
        assert output.getvalue() == expected


def test_every_configuration_is_on_the_page():
    for path in (Path(__file__).parents[2] / "recipes" / "tagging" / "conf").glob("*.yaml"):
        loss = re.search(r"^loss: \{?(?:name: )?(\w+)", path.read_text(), re.MULTILINE)
        assert loss is not None and re.search(rf"`\{{?(name: )?{loss[1]}\b", PAGE)
