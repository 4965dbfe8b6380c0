"""The search for the best path through a trellis: beams, and what to say when they fail."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from seqebm.errors import ConfigError, InfeasibleError, SeqebmError
from seqebm.kernels.trellis.ops import EmptyBeamError, Path, Unrolled
from seqebm.lattices.trellis import Trellis

logger = logging.getLogger(__name__)

DECISIONS = ("path", "sentence", "words")
_DOUBLINGS = 20  # of a beam, before the search is made exact

MakeTrellis = Callable[[Tensor, Tensor], Trellis]


@dataclass(frozen=True)
class Search:
    """How to search, and what to give besides the best sentence.

    Attributes:
        beam: drop a partial path whose energy exceeds the best one's at its frame by more than
            this; None: exact.
        widen: double an emptied beam (or ``max_active``) until a path survives, instead of giving
            an error. Which it was in the end is logged.
        lm_scale, word_penalty: in place of the model's own; None: the model's.
        decide: which string is the answer, "path", "sentence" or "words" (see
            :mod:`seqebm.decoding.decision`); None: as the model's config says, but the path's if
            there is a beam.
        confidence: tell how probable the sentence and its words are; None: unless there is a beam,
            as this needs an exact search.
        nbest: most alternatives to give, the best sentence included; 0: none.
        lattice: give the lattice itself.
        lattice_beam: confidences, alternatives and lattices consist of the paths whose energy
            exceeds the best one's by at most this; inf: all paths; None: 12 / β.
        max_active: most states that are active at a frame in the search for these; None: all.
        batch_size: most utterances searched together.
    """

    beam: float | None = None
    widen: bool = False
    lm_scale: float | None = None
    word_penalty: float | None = None
    decide: str | None = None
    confidence: bool | None = None
    nbest: int = 0
    lattice: bool = False
    lattice_beam: float | None = None
    max_active: int | None = None
    batch_size: int = 32

    def __post_init__(self) -> None:
        if self.beam is not None and not self.beam > 0:
            raise ConfigError(f"the beam is {self.beam:g}; it must be above 0 (none: exact)")
        if self.lattice_beam is not None and not self.lattice_beam > 0:
            raise ConfigError(f"the lattice beam is {self.lattice_beam:g}; it must be above 0")
        for name in ("lm_scale", "word_penalty"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise ConfigError(f"{name} is {value:g}; it must be a finite number")
        if self.decide not in (None, *DECISIONS):
            raise ConfigError(f"decide is {self.decide!r}; choose one of {', '.join(DECISIONS)}")
        for name, least in (("batch_size", 1), ("nbest", 0), ("max_active", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigError(f"{name} is {value}; it must be {least} or more")

    @property
    def confident(self) -> bool:
        """Whether confidences are given."""
        return self.beam is None if self.confidence is None else self.confidence

    @property
    def lattices(self) -> bool:
        """Whether lattices are needed, to give them or something that they tell."""
        return self.confident or self.lattice or self.nbest > 0


class Found(NamedTuple):
    """The best path of one utterance.

    Attributes:
        trellis, item: the lattice, and which of its items the utterance is.
        energy: of the path.
        path: the path.
        beam: the beam that it was found with; None: exact.
    """

    trellis: Trellis
    item: int
    energy: float
    path: Path
    beam: float | None


@contextlib.contextmanager
def settings(lattice: Any, search: Search) -> Iterator[None]:
    """Give the lattice the scale and penalty of ``search`` for a while.

    Raises :class:`ConfigError` if they are wanted and the lattice has no such thing.
    """
    wanted = {"lm_scale": search.lm_scale, "word_penalty": search.word_penalty}
    wanted = {name: value for name, value in wanted.items() if value is not None}
    for name in wanted:
        if not hasattr(lattice, name):
            raise ConfigError(
                f"the model's lattice ({type(lattice).__name__}) has no {name}; leave out "
                f"--{name.replace('_', '-')}"
            )
    before = {name: getattr(lattice, name) for name in wanted}
    try:
        for name, value in wanted.items():
            setattr(lattice, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(lattice, name, value)


def best_paths(
    make: MakeTrellis,
    features: Tensor,
    lengths: Tensor,
    ids: Sequence[str],
    search: Search,
    shift: float,
) -> list[Found | SeqebmError]:
    """The best path of each item, or why it has none.

    Args:
        make: features and lengths -> trellis.
        features: ``(B, T, D)``.
        lengths: ``(B,)`` valid frames.
        ids: B utterance ids, for the messages.
        search: the beam.
        shift: seconds between frames, for the messages.

    Raises ValueError if the kernels refuse the emission energies (NaN).
    """
    trellis = make(features, lengths)
    try:
        energies, paths = trellis.best_path(search.beam)
    except EmptyBeamError as error:
        if len(ids) > 1:  # one utterance's misfortune is not the others'
            parts = [
                best_paths(
                    make, features[b : b + 1, : int(lengths[b])], lengths[b : b + 1],
                    ids[b : b + 1], search, shift,
                )
                for b in range(len(ids))
            ]  # fmt: skip
            return [part[0] for part in parts]
        if not search.widen:
            return [_emptied(ids[0], error, search.beam, shift)]
        return [_widened(trellis, ids[0], search.beam, shift)]
    results: list[Found | SeqebmError] = []
    for b, path in enumerate(paths):
        if path is not None:
            results.append(Found(trellis, b, float(energies[b]), path, search.beam))
        elif search.beam is not None and search.widen:
            one = make(features[b : b + 1, : int(lengths[b])], lengths[b : b + 1])
            results.append(_widened(one, ids[b], search.beam, shift))
        else:
            results.append(_no_path(trellis, b, ids[b], search.beam, shift))
    return results


def unroll(
    found: Found, name: str, search: Search, width: float, shift: float
) -> Unrolled | SeqebmError:
    """The lattice around the best path of one item, or why there is none.

    Args:
        found: one of what :func:`best_paths` gave, where all items share a graph.
        name: the utterance's id, for the message.
        search: ``max_active`` and ``widen``.
        width: the paths kept exceed the best one's energy by at most this.
        shift: seconds between frames, for the message.
    """
    trellis, item = found.trellis, found.item
    frames = trellis.lengths[item : item + 1]
    emissions = trellis.emissions[item : item + 1, : int(frames[0])]
    alone = Trellis(trellis.prepared, emissions, frames, trellis.weights)
    most = search.max_active
    while True:
        try:
            unrolled = alone.unroll(width, most)[0]
            if most != search.max_active:
                logger.info(
                    "%s: widened from %d to %d active states", name, search.max_active, most
                )
            return unrolled
        except EmptyBeamError as error:
            assert most is not None
            if not search.widen:
                return SeqebmError(
                    f"{name}: no path survives frame {error.frame} ({error.frame * shift:.2f} s) "
                    f"with {most} active states. Raise --max-active (say, to {2 * most}), or let "
                    "--widen double it until a path survives."
                )
            most *= 2


def _widened(trellis: Trellis, name: str, beam: float | None, shift: float) -> Found | SeqebmError:
    """Search one item with beams that double, at last with none."""
    assert beam is not None
    for power in range(1, _DOUBLINGS + 2):
        wider = beam * 2**power if power <= _DOUBLINGS else None
        with contextlib.suppress(EmptyBeamError):
            energies, (path,) = trellis.best_path(wider)
            if path is not None:
                now = "an exact search" if wider is None else f"a beam of {wider:g}"
                logger.info("%s: widened from a beam of %g to %s", name, beam, now)
                return Found(trellis, 0, float(energies[0]), path, wider)
    return _no_path(trellis, 0, name, None, shift)


def _emptied(name: str, error: EmptyBeamError, beam: float | None, shift: float) -> SeqebmError:
    assert beam is not None
    return SeqebmError(
        f"{name}: the beam of {beam:g} is empty at frame {error.frame} "
        f"({error.frame * shift:.2f} s): no path survives. Raise --beam (say, to {2 * beam:g}), or "
        "let --widen double it until a path survives."
    )


def _no_path(
    trellis: Trellis, item: int, name: str, beam: float | None, shift: float
) -> SeqebmError:
    frames = int(trellis.lengths[item])
    need = int(trellis.prepared.packed.minimum_frames[int(trellis.graph_of[item])])
    if need < 0:
        return InfeasibleError(f"{name}: the graph accepts nothing at all")
    if frames < need:
        return InfeasibleError(
            f"{name}: too short: {frames} feature frames, but {need} (about {need * shift:.2f} s) "
            "are needed. Give a longer recording."
        )
    if beam is not None:
        return SeqebmError(
            f"{name}: the beam of {beam:g} leaves no path that ends with the utterance. Raise "
            f"--beam (say, to {2 * beam:g}), or let --widen double it until a path survives."
        )
    return InfeasibleError(
        f"{name}: no path has just its {frames} feature frames ({frames * shift:.2f} s). If it is "
        "cut off, give a longer recording."
    )
