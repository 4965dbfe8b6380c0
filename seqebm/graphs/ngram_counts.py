"""n-gram language models from counts: Witten-Bell smoothing, and writing of ARPA files."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from seqebm.errors import DataError
from seqebm.graphs.ngram import BEGIN, END, Arpa, Gram
from seqebm.text import fields

_ZERO = -99.0  # how ARPA files write log10 of 0


def estimate_ngram(strings: Iterable[Sequence[str]], order: int) -> Arpa:
    """An n-gram model of strings of tokens, with interpolated Witten-Bell smoothing.

    Witten & Bell (1991), "The zero-frequency problem"; Chen & Goodman (1998), section 2.4. A
    history h that was seen c(h) times, before t(h) distinct tokens, gives

        P(w | h) = (c(h w) + t(h) P(w | shorter h)) / (c(h) + t(h))

    so that t(h) / (c(h) + t(h)) is the back-off weight. Below the unigrams are equal shares for
    each token and for the end. Every string begins with ``<s>`` and ends with ``</s>``.

    Args:
        strings: each a sequence of tokens; may be empty strings.
        order: the largest n, 1 or more.

    Raises :class:`DataError` if there are no strings, for a token that is empty, holds a blank or
    is ``<s>`` or ``</s>``, and for an order below 1.
    """
    if order < 1:
        raise DataError(f"the order of an n-gram model is {order}; it must be 1 or more")
    counts: defaultdict[Gram, Counter[str]] = defaultdict(Counter)
    tokens: set[str] = {END}
    total = 0
    for string in strings:
        total += 1
        for token in string:
            if token in (BEGIN, END) or fields(token) != [token]:
                raise DataError(f"string {total} holds the token {token!r}; remove it")
        tokens.update(string)
        padded = (BEGIN, *string, END)
        for stop in range(1, len(padded)):
            for start in range(max(0, stop - order + 1), stop + 1):
                counts[padded[start:stop]][padded[stop]] += 1
    if not total:
        raise DataError("there are no strings to count n-grams in")
    share = 1 / len(tokens)
    probability: dict[Gram, float] = {(BEGIN,): 0.0}
    backoff: dict[Gram, float] = {}
    for history in sorted(counts, key=len):
        after = counts[history]
        seen, kinds = after.total(), len(after)
        for token in sorted(tokens) if not history else sorted(after):
            shorter = probability[*history[1:], token] if history else share
            probability[*history, token] = (after[token] + kinds * shorter) / (seen + kinds)
        if history:
            backoff[history] = -math.log(kinds / (seen + kinds))
    energy = {g: -math.log(p) if p > 0 else math.inf for g, p in probability.items()}
    # A history that ends the file's order, or that the model never lists, is none.
    backoff = {g: b for g, b in backoff.items() if len(g) < order}
    return Arpa(max(map(len, energy)), energy, backoff)


def arpa_text(model: Arpa) -> str:
    """The model as an ARPA file, which :func:`~seqebm.graphs.ngram.read_arpa` reads."""
    by_order: defaultdict[int, list[Gram]] = defaultdict(list)
    for gram in model.energy:
        by_order[len(gram)].append(gram)
    lines = ["\\data\\", *(f"ngram {n}={len(by_order[n])}" for n in sorted(by_order)), ""]
    for n in sorted(by_order):
        lines.append(f"\\{n}-grams:")
        for gram in sorted(by_order[n]):
            fields = [_log10(model.energy[gram]), " ".join(gram)]
            if gram in model.backoff:
                fields.append(_log10(model.backoff[gram]))
            lines.append("\t".join(fields))
        lines.append("")
    return "\n".join([*lines, "\\end\\", ""])


def _log10(energy: float) -> str:
    return f"{_ZERO if energy == math.inf else 0.0 - energy / math.log(10):.6g}"
