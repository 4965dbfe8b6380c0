"""A lexicon of the N most frequent English words, and the words of a data directory.

The words come from the package wordfreq. Words of DATA that it lacks are added, so that every
answer is possible, and counted. With --capitals, each word is there with a capital too.

usage: lexicon.py N OUT [DATA] [--capitals]
"""

import re
import sys
from pathlib import Path

from wordfreq import top_n_list

from seqebm.data import DataDir

capitals = "--capitals" in sys.argv
size, out, *rest = [argument for argument in sys.argv[1:] if argument != "--capitals"]
words: dict[str, None] = {}
for word in top_n_list("en", 4 * int(size)):
    if len(words) < int(size) and re.fullmatch("[a-z]+", word):
        words[word] = None
if capitals:
    words = dict.fromkeys(form for word in words for form in (word, word.capitalize()))
texts = [utterance.text or "" for data in rest for utterance in DataDir.load(Path(data)).utterances]
missing = sorted(set(texts) - words.keys())
Path(out).write_text("\n".join([*words, *missing]) + "\n")
count = sum(text not in words for text in texts)
print(
    f"{out}: {len(words)} words of the list"
    + (f", {len(missing)} more of {rest[0]} ({count} of its {len(texts)} inks)" if rest else "")
)
