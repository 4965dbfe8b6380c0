"""Prints the VALUE of the decoding MODEL/dev-NAME=VALUE that has the fewest wrong words.

usage: best.py MODEL NAME
"""

import json
import sys
from pathlib import Path

found = {}
for path in Path(sys.argv[1]).glob(f"dev-{sys.argv[2]}=*/score.json"):
    score = json.loads(path.read_text())
    found[path.parent.name.partition("=")[2]] = (score["wer"], score["cer"])
if not found:
    sys.exit(f"best.py: {sys.argv[1]} holds no dev-{sys.argv[2]}=*/score.json")
print(min(found, key=found.__getitem__))
