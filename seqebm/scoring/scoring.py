"""Error rates, with how sure we are of them.

Words are compared exactly as written (no case folding, no Unicode normalisation); characters are
code points, with a single space between words. Confidence intervals are bootstrapped over
utterances, and over speakers where they are known: M. Bisani and H. Ney, "Bootstrap estimates
for confidence intervals in ASR performance evaluation", ICASSP 2004.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rapidfuzz.distance import Levenshtein

from seqebm.errors import DataError
from seqebm.text import fields

LEVEL = 0.95
Pair = tuple[str | None, str | None]


@dataclass(frozen=True)
class Counts:
    """Edit operations that turn the reference into the hypothesis, fewest possible in total.

    Attributes:
        hits, substitutions, deletions, insertions: how many of each.
    """

    hits: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.hits + other.hits,
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
        )

    @property
    def errors(self) -> int:
        """Substitutions, deletions and insertions."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def total(self) -> int:
        """Tokens of the reference."""
        return self.hits + self.substitutions + self.deletions

    @property
    def rate(self) -> float:
        """Errors per reference token, >= 0; ``inf`` for errors against an empty reference."""
        if self.total:
            return self.errors / self.total
        return math.inf if self.errors else 0.0


@dataclass(frozen=True)
class Interval:
    """A rate's bootstrap interval at the level :data:`LEVEL` (percentile method)."""

    low: float
    high: float


def align(reference: Sequence[str], hypothesis: Sequence[str]) -> list[Pair]:
    """Align two token sequences with the fewest edits.

    Returns (reference token, hypothesis token) pairs in order; None stands for a token that is
    missing: ``(r, None)`` is a deletion, ``(None, h)`` an insertion. Where several alignments
    have as few edits, one of them is given.
    """
    pairs: list[Pair] = []
    for op in Levenshtein.opcodes(reference, hypothesis):
        source = reference[op.src_start : op.src_end]
        target = hypothesis[op.dest_start : op.dest_end]
        if op.tag in ("equal", "replace"):
            pairs += zip(source, target, strict=True)
        else:
            pairs += [(token, None) for token in source]
            pairs += [(None, token) for token in target]
    return pairs


def count(pairs: Sequence[Pair]) -> Counts:
    """Count the operations of an alignment."""
    hits = sum(r == h for r, h in pairs)
    deletions = sum(h is None for _, h in pairs)
    insertions = sum(r is None for r, _ in pairs)
    return Counts(hits, len(pairs) - hits - deletions - insertions, deletions, insertions)


@dataclass(frozen=True)
class UtteranceScore:
    """The score of one utterance.

    Attributes:
        id, speaker: whose.
        words, characters: edit operations.
        status: ``"scored"``, ``"missing"`` (no hypothesis: all is deleted) or ``"extra"`` (no
            reference: all is inserted).
    """

    id: str
    speaker: str | None
    words: Counts
    characters: Counts
    status: str = "scored"

    @property
    def correct(self) -> bool:
        """The whole utterance is right."""
        return self.status == "scored" and self.words.errors == 0


@dataclass(frozen=True)
class Summary:
    """Totals over some utterances: word and character counts, and utterances right."""

    utterances: int
    correct: int
    words: Counts
    characters: Counts

    @property
    def accuracy(self) -> float:
        """Share of utterances that are entirely right; word accuracy if each is one word."""
        return self.correct / self.utterances

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "utterances": self.utterances,
            "correct": self.correct,
            "accuracy": self.accuracy,
            "wer": finite(self.words.rate),
            "cer": finite(self.characters.rate),
            "words": {**vars(self.words), "total": self.words.total},
            "characters": {**vars(self.characters), "total": self.characters.total},
        }


@dataclass(frozen=True)
class Score:
    """The score of a test set.

    Attributes:
        total: over all utterances, those without hypothesis or reference included.
        speakers: per speaker, sorted; empty if speakers are unknown.
        utterances: per utterance, sorted by id.
        missing: ids without hypothesis; their words count as deleted.
        extra: ids without reference; their words count as inserted.
        confusions: how often reference word r (None: inserted) was answered with h (None: deleted),
            right answers included.
    """

    total: Summary
    speakers: dict[str, Summary]
    utterances: list[UtteranceScore]
    missing: list[str]
    extra: list[str]
    confusions: Counter[Pair] = field(repr=False)

    def interval(
        self, what: str = "wer", unit: str = "utterance", samples: int = 10000, seed: int = 0
    ) -> Interval | None:
        """Bootstrap interval of ``"wer"``, ``"cer"`` or ``"accuracy"``.

        Args:
            what: the rate.
            unit: what is drawn with replacement, ``"utterance"`` or ``"speaker"``. Utterances of
                one speaker err together, so the interval over speakers is the honest one for new
                speakers; with few of them it is wide, and rough.
            samples: bootstrap samples; 10,000 as in the paper.
            seed: of the random numbers.

        Returns None if there are fewer than two units, which say nothing about the spread.
        """
        numbers = _by_unit(self.utterances, what, unit)
        if len(numbers) < 2:
            return None
        ratios = _bootstrap(numbers, samples, seed)[:, 0]
        return _percentiles(ratios)

    def as_dict(self) -> dict[str, Any]:
        """For JSON; intervals are not included."""
        return {
            **self.total.as_dict(),
            "missing": self.missing,
            "extra": self.extra,
            "speakers": {name: part.as_dict() for name, part in self.speakers.items()},
            "confusions": [
                {"reference": r, "hypothesis": h, "count": n}
                for (r, h), n in self.confusions.most_common()
                if r != h
            ],
        }


def score(
    references: Mapping[str, str],
    hypotheses: Mapping[str, str],
    speakers: Mapping[str, str] | None = None,
) -> Score:
    """Score hypotheses against references, both utterance id -> words separated by blanks.

    Every reference counts: one without hypothesis has all its words deleted. A hypothesis without
    reference has all its words inserted and counts as a wrong utterance.

    Args:
        references: what was said.
        hypotheses: what was recognised; may be empty strings.
        speakers: utterance id -> speaker; utterances that it lacks have none.

    Raises :class:`DataError` if there is no reference or no id in common (two unrelated files).
    """
    if not references:
        raise DataError("there are no references to score against")
    if hypotheses and not references.keys() & hypotheses.keys():
        raise DataError(
            "references and hypotheses have no utterance id in common, e.g. "
            f"{min(references)!r} and {min(hypotheses)!r}; are they of the same data?"
        )
    utterances: list[UtteranceScore] = []
    confusions: Counter[Pair] = Counter()
    for name in sorted(references.keys() | hypotheses.keys()):
        reference = fields(references.get(name, ""))
        hypothesis = fields(hypotheses.get(name, ""))
        pairs = align(reference, hypothesis)
        confusions.update(pairs)
        status = "scored"
        if name not in hypotheses:
            status = "missing"
        elif name not in references:
            status = "extra"
        characters = count(align(" ".join(reference), " ".join(hypothesis)))
        speaker = speakers.get(name) if speakers else None
        utterances.append(UtteranceScore(name, speaker, count(pairs), characters, status))
    names = sorted({u.speaker for u in utterances if u.speaker is not None})
    return Score(
        _sum_up(utterances),
        {name: _sum_up([u for u in utterances if u.speaker == name]) for name in names},
        utterances,
        [u.id for u in utterances if u.status == "missing"],
        [u.id for u in utterances if u.status == "extra"],
        confusions,
    )


def _sum_up(utterances: Sequence[UtteranceScore]) -> Summary:
    return Summary(
        len(utterances),
        sum(u.correct for u in utterances),
        sum((u.words for u in utterances), Counts()),
        sum((u.characters for u in utterances), Counts()),
    )


@dataclass(frozen=True)
class Comparison:
    """System B against system A on the same utterances.

    Attributes:
        difference: rate of B minus rate of A; negative if B has fewer errors.
        interval: bootstrap interval of the difference; None with fewer than two units.
        improvement: bootstrap probability that B has a lower error rate (higher accuracy) than
            A; a tie counts one half. None with fewer than two units.
    """

    difference: float
    interval: Interval | None
    improvement: float | None


def compare(
    a: Score, b: Score, what: str = "wer", unit: str = "utterance", samples: int = 10000,
    seed: int = 0,
) -> Comparison:  # fmt: skip
    """Compare two systems by the paired bootstrap (Bisani & Ney 2004, section 4).

    Arguments as for :meth:`Score.interval`. For ``"accuracy"`` the difference is of accuracies, so
    that positive is better. Raises :class:`DataError` if the references differ in their ids.
    """
    ids = [{u.id for u in s.utterances if u.status != "extra"} for s in (a, b)]
    if ids[0] != ids[1]:
        odd = min(ids[0] ^ ids[1])
        raise DataError(f"the two systems were scored on different utterances, e.g. {odd!r}")
    pairs = _by_unit(a.utterances, what, unit, b.utterances)
    rates = pairs.sum(axis=0)
    difference = rates[2] / rates[3] - rates[0] / rates[1]
    if len(pairs) < 2:
        return Comparison(float(difference), None, None)
    ratios = _bootstrap(pairs, samples, seed)
    differences = ratios[:, 1] - ratios[:, 0]
    better = differences > 0 if what == "accuracy" else differences < 0
    improvement = float(better.mean() + (differences == 0).mean() / 2)
    return Comparison(float(difference), _percentiles(differences), improvement)


def _numbers(utterance: UtteranceScore, what: str) -> tuple[int, int]:
    """Numerator and denominator that an utterance adds to a rate."""
    if what == "wer":
        return utterance.words.errors, utterance.words.total
    if what == "cer":
        return utterance.characters.errors, utterance.characters.total
    if what == "accuracy":
        return int(utterance.correct), 1
    raise ValueError(f"what must be 'wer', 'cer' or 'accuracy', not {what!r}")


def _by_unit(
    a: Sequence[UtteranceScore], what: str, unit: str, b: Sequence[UtteranceScore] = ()
) -> np.ndarray:
    """``(units, 2)`` numerators and denominators; ``(units, 4)`` if there is a second system."""
    if unit not in ("utterance", "speaker"):
        raise ValueError(f"unit must be 'utterance' or 'speaker', not {unit!r}")
    units: dict[str, list[int]] = {}
    width = 4 if b else 2
    for offset, utterances in ((0, a), (2, b)):
        for utterance in utterances:
            key = utterance.id if unit == "utterance" else utterance.speaker
            if key is None:
                continue  # nobody's: it belongs to no speaker that could be drawn
            row = units.setdefault(key, [0] * width)
            for column, number in enumerate(_numbers(utterance, what), offset):
                row[column] += number
    return np.array([units[key] for key in sorted(units)], dtype=np.int64).reshape(-1, width)


def _bootstrap(numbers: np.ndarray, samples: int, seed: int) -> np.ndarray:
    """``(samples, columns / 2)`` ratios of column sums over units drawn with replacement."""
    # Units with the same numbers are alike, so it is enough to draw how often each kind occurs.
    # With isolated words there are two kinds, however many utterances.
    kinds, counts = np.unique(numbers, axis=0, return_counts=True)
    rng = np.random.default_rng(seed)
    total = len(numbers)
    chunk = max(1, 4_000_000 // len(kinds))
    parts = []
    for start in range(0, samples, chunk):
        size = min(chunk, samples - start)
        drawn = rng.multinomial(total, counts / total, size=size)
        sums = drawn @ kinds
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = sums[:, 0::2] / sums[:, 1::2]
        # A sample of nothing but extra hypotheses: no reference, hence no rate but 0 or infinity.
        parts.append(np.nan_to_num(ratios, nan=0.0, posinf=np.inf))
    return np.concatenate(parts)


def _percentiles(values: np.ndarray) -> Interval:
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(values, [tail, 100 - tail], method="nearest")
    return Interval(float(low), float(high))


def finite(rate: float) -> float | None:
    """``rate``, or None where it is infinite, which JSON cannot hold."""
    return rate if math.isfinite(rate) else None
