"""Draws what was recognised wrongly, for looking at: EXP/errors-1.png, errors-2.png, ...

Each picture is titled "label > answer, writer", and a table of all is EXP/errors.tsv.

usage: errors.py EXP DATA
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from seqebm.data import DataDir, SignalDataset, read_text

ROWS, COLUMNS = 8, 12
exp, data = Path(sys.argv[1]), Path(sys.argv[2])
right = read_text(exp / "decode/ref.txt", "reference")
answers = read_text(exp / "decode/hyp.txt", "hypothesis file")
wrong = {name for name, text in right.items() if answers.get(name) != text}
lines = [f"{name}\t{right[name]}\t{answers.get(name, '')}" for name in sorted(wrong)]
(exp / "errors.tsv").write_text("\n".join(["utterance\tlabel\tanswer", *lines]) + "\n")
if not wrong:
    sys.exit(print(f"{exp}: no errors to draw"))
signals = SignalDataset(DataDir.load(data).where(lambda u: u.id in wrong), rate=100)
for page, first in enumerate(range(0, len(signals), ROWS * COLUMNS), 1):
    figure, grid = plt.subplots(ROWS, COLUMNS, figsize=(15, 11), layout="constrained")
    for axes in grid.flat:
        axes.axis("off")
    for axes, index in zip(grid.flat, range(first, len(signals)), strict=False):
        example = signals[index]
        points = example.signal.numpy()
        for stroke in range(int(points[-1, 3]) + 1):
            own = points[points[:, 3] == stroke]
            axes.plot(own[:, 0], own[:, 1], "k-", linewidth=1)
            axes.plot(own[0, 0], own[0, 1], "g.", markersize=4)
        axes.set_aspect("equal", "datalim")
        title = f"{example.text} > {answers.get(example.id, '')}, {(example.speaker or '')[:9]}"
        axes.set_title(title, fontsize=7)
    figure.savefig(exp / f"errors-{page}.png", dpi=80)
    plt.close(figure)
print(f"{len(wrong)} errors: {exp}/errors.tsv, {exp}/errors-1.png")
