"""docs/tutorial.md, block by block, as a newcomer would run it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

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
