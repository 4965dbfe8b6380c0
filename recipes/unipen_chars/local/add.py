"""Adds the energies of several models' answers and decides anew: OUT/hyp.txt, OUT/answers.jsonl.

Energies of models that look at the same ink in different ways (its trajectory, its image) may be
added: the sum is the energy of both seeing the answer (Hinton 2002, products of experts).

usage: add.py OUT DECODED DECODED...
"""

import json
import shutil
import sys
from pathlib import Path

from seqebm.data import write_table

out, sources = Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]]
read = [
    {line["id"]: line for line in map(json.loads, (source / "answers.jsonl").open())}
    for source in sources
]
both = [name for name in read[0] if all(name in answers for answers in read)]
added = []
for name in both:
    tables = [answers[name]["energies"] for answers in read]
    words = [word for word in tables[0] if all(word in table for table in tables)]
    energies = {word: sum(table[word] for table in tables) for word in words}
    first, second = sorted(energies, key=energies.__getitem__)[:2]
    margin = energies[second] - energies[first]
    added.append({"id": name, "word": first, "energy": energies[first], "margin": margin,
                  "runner_up": second, "energies": energies})  # fmt: skip
out.mkdir(parents=True, exist_ok=True)
write_table(out / "hyp.txt", {answer["id"]: answer["word"] for answer in added})
(out / "answers.jsonl").write_text("".join(json.dumps(answer) + "\n" for answer in added))
for name in ("ref.txt", "utt2spk"):
    shutil.copyfile(sources[0] / name, out / name)
print(f"{len(added)} answers with the energies of {len(sources)} models: {out}")
