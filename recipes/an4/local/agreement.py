"""Do wavs through our own front-end give the answers that the corpus's cepstra gave?

usage: agreement.py HYP_OF_CEPSTRA HYP_OF_WAVS
"""

import sys

from seqebm.data.tables import read_text

cepstra, wavs = (read_text(path, "answers") for path in sys.argv[1:3])
differ = [name for name in wavs if wavs[name] != cepstra.get(name)]
for name in differ:
    print(f"{name}: {cepstra.get(name)!r} from cepstra, {wavs[name]!r} from the wav")
print(f"{len(wavs) - len(differ)} of {len(wavs)} answers agree")
