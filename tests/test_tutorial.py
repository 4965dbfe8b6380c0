"""docs/tutorial.md and docs/howto.md, block by block, as a newcomer would run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest_plugins = ["seqebm.testing.fixtures"]

PAGE = Path(__file__).parent.parent / "docs" / "tutorial.md"


@pytest.mark.slow
def test_the_tutorial_runs(tmp_path):
    blocks = re.findall(r"```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 8
    # The program of this environment, whether or not it is on the path.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    script = "set -euo pipefail\n" + "\n".join(blocks)
    result = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:]
    rates = [float(n) for n in re.findall(r"^accuracy +([\d.]+) %", result.stdout, re.MULTILINE)]
    spoken, free, lexicon = rates
    assert spoken > 60, "ten words: chance is 10"
    assert lexicon >= free and lexicon > 40, "20 words: chance is 5"
    assert (tmp_path / "word.png").exists()


def test_the_how_to_pages_run(spoken_tones, tmp_path, monkeypatch, capsys):
    blocks = re.findall(
        r"```python\n(.*?)```", PAGE.with_name("howto.md").read_text(encoding="utf-8"), re.DOTALL
    )
    assert len(blocks) == 5
    (tmp_path / "recordings").mkdir()
    for path in spoken_tones.parent.glob("*.wav"):
        word, number = re.fullmatch(r"([a-z]+)(\d+)", path.stem).groups()
        (tmp_path / f"recordings/{word}-{number}.wav").symlink_to(path)
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for block in blocks:
        exec(compile(block, "howto.md", "exec"), names)
    shown = capsys.readouterr().out
    assert shown.count("%") >= 25 and "frame 0 of the input is frame 0 of template" in shown
    assert names["found"].accuracy > 0.8
