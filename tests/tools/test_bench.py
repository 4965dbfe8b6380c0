"""The benchmark: contenders that need nothing installed agree, and figures become a page."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tools.bench import jobs, page, run

SMALL = ["trellis-small", "ctc-small", "crf-small", "dag-small"]


@pytest.mark.parametrize("row", SMALL)
def test_torch_does_the_same_job(row):
    contenders = jobs.ROWS[row].contenders
    theirs = contenders["torch loop" if "torch loop" in contenders else "torch"]()()
    exact = jobs.exact(row)
    assert np.abs(theirs - exact).max() < 1e-3 * np.abs(exact).max()


def test_every_row_moves_something_and_has_ours_first():
    for row in jobs.ROWS.values():
        assert next(iter(row.contenders)) == "seqebm"
        assert row.moved > 0


def test_what_is_missing_is_said():
    with pytest.raises(ImportError, match="gtn has no package"):
        jobs.ROWS["best"].contenders["gtn"]()


def test_a_run_and_its_page(tmp_path, monkeypatch, capsys):
    figures = tmp_path / "figures.json"
    arguments = ["bench", "--only", "dag-small", "--rounds", "1", "--seconds", "0.01"]
    monkeypatch.setattr("sys.argv", [*arguments, "--threads", "1", "--json", str(figures)])
    run.main()
    assert "gtn was skipped" in capsys.readouterr().out.replace("\n", " ")
    (row,) = json.loads(figures.read_text())["rows"]
    ours, loop, *_ = row["contenders"]
    assert ours["min_ms"] > 0 and ours["difference"] < 1e-6 and ours["ratio_min"] == 1.0
    assert loop["name"] == "torch loop" and loop["ratio_min"] > 0
    monkeypatch.setattr(page, "TARGET", tmp_path / "page.md")
    monkeypatch.setattr("sys.argv", ["page", str(figures)])
    page.main()
    text = (tmp_path / "page.md").read_text()
    assert "| **seqebm" in text and "| torch loop |" in text
    assert "Not there: " in text and "GB/s" in text


def test_an_interpreter_that_is_not_there_is_refused(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["bench", "--python", "k2=/nowhere/python"])
    with pytest.raises(SystemExit) as stop:
        run.main()
    assert stop.value.code == 2
    assert "is not NAME=PATH of a Python interpreter" in capsys.readouterr().err
