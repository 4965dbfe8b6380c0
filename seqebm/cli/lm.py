"""``seqebm lm``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seqebm.cli.terminal import say


def lm_command(
    text: Annotated[
        Path, typer.Argument(help="Strings to count in, one a line; a word list for characters.")
    ],
    output: Annotated[Path, typer.Option(help="The ARPA file to write.")],
    order: Annotated[int, typer.Option(min=1, help="The largest n.")] = 3,
    characters: Annotated[
        bool, typer.Option("--characters", help="n-grams of characters, not of words.")
    ] = False,
) -> None:
    """Make an n-gram language model from text (Witten-Bell smoothing, ARPA).

    For the option lm of the lattice hmm, or for seqebm decode --lm.

    Example: seqebm lm words.txt --characters --order 5 --output letters.arpa
    """
    from seqebm.errors import DataError
    from seqebm.files import write_text
    from seqebm.graphs.ngram_counts import arpa_text, estimate_ngram
    from seqebm.graphs.sources import read_source
    from seqebm.lattices.tokens import Tokens, listed, split

    content, name = read_source(text, None, "text")
    kind: Tokens = "characters" if characters else "words"
    strings = [split(line, kind) for line in listed(content)]
    try:
        model = estimate_ngram(strings, order)
    except DataError as error:
        raise DataError(f"{name}: {error}") from error
    write_text(output, arpa_text(model))
    say(f"{len(model.energy)} n-grams of {len(strings)} strings are in {output}")
