"""The search of a trellis: beams and what to say when they fail, confidences, alternatives."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from seqebm.errors import InfeasibleError, SeqebmError
from seqebm.graphs import n_best, posteriors
from seqebm.inference.confidence import sentence_posterior, word_posteriors
from seqebm.inference.decision import decide
from seqebm.inference.found import Aligned, Found, Scored
from seqebm.inference.free_energy import finite
from seqebm.inference.segments import segments
from seqebm.inference.unrolled import UnrolledGraph
from seqebm.kernels.trellis.ops import EmptyBeamError, Path, Unrolled

if TYPE_CHECKING:
    from seqebm.inference.search import Search
    from seqebm.inference.trellis import Trellis

logger = logging.getLogger(__name__)

_DOUBLINGS = 20  # of a beam, before the search is made exact
_NEGLIGIBLE = 12.0  # a path of this much more energy (times β) has 6e-6 of the best one's weight


class Best(NamedTuple):
    """The best path of one item.

    Attributes:
        trellis, item: the trellis, and which of its items it is.
        energy: of the path.
        path: the path.
        beam: the beam that it was found with; None: exact.
    """

    trellis: Trellis
    item: int
    energy: float
    path: Path
    beam: float | None


def search(
    trellis: Trellis, how: Search, names: Sequence[str], shift: float
) -> list[Found | SeqebmError]:
    """The answer to each item, or why it has none: see :meth:`Energies.search`."""
    return [
        best if isinstance(best, SeqebmError) else _answer(best, name, how, shift)
        for name, best in zip(names, best_paths(trellis, names, how, shift), strict=True)
    ]


def align(trellis: Trellis, names: Sequence[str], shift: float) -> list[Aligned | SeqebmError]:
    """The best path of each item, with words, units and states."""
    energies, paths = trellis.best_path()
    found: list[Aligned | SeqebmError] = []
    for b, (path, name) in enumerate(zip(paths, names, strict=True)):
        if path is None:
            found.append(_no_path(trellis, b, name, None, shift))
            continue
        frames = int(trellis.lengths[b])
        found.append(
            Aligned(
                float(energies[b]), segments(trellis.graph(b), path, trellis.classes),
                trellis.emissions[b, :frames], tuple(trellis.classes.names),
            )
        )  # fmt: skip
    return found


def best_paths(
    trellis: Trellis, names: Sequence[str], how: Search, shift: float
) -> list[Best | SeqebmError]:
    """The best path of each item, or why it has none.

    Args:
        trellis: B items.
        names: B names, for the messages.
        how: the beam.
        shift: seconds between frames, for the messages.

    Raises ValueError if the kernels refuse the emission energies (NaN).
    """
    beam = how.beam_width
    try:
        energies, paths = trellis.best_path(beam)
    except EmptyBeamError as error:
        if len(names) > 1:  # one utterance's misfortune is not the others'
            return [
                best_paths(trellis.part([b]), [name], how, shift)[0] for b, name in enumerate(names)
            ]
        if not how.widen:
            return [_emptied(names[0], error, beam, shift)]
        return [_widened(trellis, names[0], beam, shift)]
    results: list[Best | SeqebmError] = []
    for b, path in enumerate(paths):
        if path is not None:
            results.append(Best(trellis, b, float(energies[b]), path, beam))
        elif beam is not None and how.widen:
            results.append(_widened(trellis.part([b]), names[b], beam, shift))
        else:
            results.append(_no_path(trellis, b, names[b], beam, shift))
    return results


def _answer(best: Best, name: str, how: Search, shift: float) -> Found | SeqebmError:
    if not how.lattices and how.decide == "path":
        return _found(best, how, None)
    width = how.lattice_beam or _NEGLIGIBLE / finite(how.beta)
    # One at a time: the lattice of an untrained model may fill much of the memory.
    unrolled = _unroll(best, name, how, width, shift)
    if isinstance(unrolled, SeqebmError):
        return unrolled
    lattice = UnrolledGraph.of(best.trellis.graph(best.item), unrolled)
    rounding = 1e-5 * (1 + abs(best.energy))
    if best.beam is not None and unrolled.best < best.energy - rounding:
        # The lattice is exact, and the beam had lost what is better.
        better = lattice.best_path()
        assert better is not None  # that is what `best` says
        best = best._replace(energy=better[0], path=better[1], beam=None)
    decided = _decided(best, lattice, how) if how.decide != "path" else best
    return _found(decided, how, lattice, best)


def _decided(best: Best, lattice: UnrolledGraph, how: Search) -> Best:
    """The best path of the string that is decided for."""
    texts = [path.outputs for path in n_best(lattice.graph, how.candidates)]
    own = best.trellis.part([best.item] * len(texts)).clamped(texts)
    chosen = decide(texts, own.free_energy(how.beta), how.decide, how.beta)
    least, paths = own.best_path()
    path = paths[chosen]
    assert path is not None  # it came from a path
    return Best(own, chosen, float(least[chosen]), path, best.beam)


def _found(
    best: Best, how: Search, lattice: UnrolledGraph | None, whole: Best | None = None
) -> Found:
    """What is told of a best path; ``whole`` is that of the graph that was unrolled."""
    trellis = best.trellis
    words = segments(trellis.graph(best.item), best.path, trellis.classes).words
    labels = trellis.output(best.item, best.path)
    confidence = None
    if how.confident and lattice is not None:
        assert whole is not None
        graph, states = whole.trellis.graph(whole.item), whole.trellis.words_of_states(whole.item)
        beta = finite(how.beta)
        confidence = sentence_posterior(lattice.graph, labels, beta)
        each = word_posteriors(
            lattice,
            posteriors(lattice.graph, beta)[: lattice.graph.arcs],
            states[graph.dst[lattice.arc]],
            trellis.classes, words, labels,
        )  # fmt: skip
        words = tuple(w._replace(confidence=c) for w, c in zip(words, each, strict=True))
    alternatives: tuple[Scored, ...] = ()
    if how.nbest and lattice is not None:
        alternatives = tuple(
            Scored(path.outputs, path.energy) for path in n_best(lattice.graph, how.nbest)
        )
    return Found(
        labels, best.energy, confidence, words, alternatives, best.beam,
        lattice if how.lattice else None, how.decide,
    )  # fmt: skip


def _unroll(
    best: Best, name: str, how: Search, width: float, shift: float
) -> Unrolled | SeqebmError:
    """The lattice around the best path of one item, or why there is none.

    Args:
        best: the path.
        name: the item's, for the message.
        how: ``max_active`` and ``widen``.
        width: the paths kept exceed the best one's energy by at most this.
        shift: seconds between frames, for the message.
    """
    alone = best.trellis.part([best.item])
    most = how.max_active
    while True:
        try:
            unrolled = alone.unroll(width, most)[0]
            if most != how.max_active:
                logger.info("%s: widened from %d to %d active states", name, how.max_active, most)
            return unrolled
        except EmptyBeamError as error:
            assert most is not None
            if not how.widen:
                return SeqebmError(
                    f"{name}: no path survives frame {error.frame} ({error.frame * shift:.2f} s) "
                    f"with {most} active states. Raise --max-active (say, to {2 * most}), or let "
                    "--widen double it until a path survives."
                )
            most *= 2


def _widened(trellis: Trellis, name: str, beam: float | None, shift: float) -> Best | SeqebmError:
    """Search one item with beams that double, at last with none."""
    assert beam is not None
    for power in range(1, _DOUBLINGS + 2):
        wider = beam * 2**power if power <= _DOUBLINGS else None
        with contextlib.suppress(EmptyBeamError):
            energies, (path,) = trellis.best_path(wider)
            if path is not None:
                now = "an exact search" if wider is None else f"a beam of {wider:g}"
                logger.info("%s: widened from a beam of %g to %s", name, beam, now)
                return Best(trellis, 0, float(energies[0]), path, wider)
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
