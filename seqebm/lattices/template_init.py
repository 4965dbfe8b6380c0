"""Starting points for elastic templates, taken from data."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.cluster.vq import kmeans2
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from seqebm.errors import DataError
from seqebm.kernels.warp import ops
from seqebm.kernels.warp.patterns import StepPattern, Window

if TYPE_CHECKING:
    from seqebm.lattices.templates import Templates


def segment_means(sequence: Tensor, parts: int) -> Tensor:
    """Cut ``(T, D)`` into ``parts`` equal stretches of time and average each: ``(parts, D)``.

    Linear segmentation, the usual flat start of left-to-right models (Rabiner 1989, section VI).
    """
    edges = torch.linspace(0, len(sequence), parts + 1)
    starts = edges[:-1].floor().long()
    stops = torch.maximum(edges[1:].ceil().long(), starts + 1)
    sums = torch.cat([sequence.new_zeros(1, sequence.shape[1]), sequence.cumsum(0)])
    return (sums[stops] - sums[starts]) / (stops - starts)[:, None]


def without_background(sequences: list[Tensor], shortest: int) -> list[Tensor]:
    """The stretch of each ``(T, D)`` that is least like how recordings begin and end.

    Of each frame's distance from the mean of all first and last frames, less the mean of these
    distances, it is the stretch of the largest sum (Bentley 1984). What would be shorter than
    ``shortest`` stays whole.
    """
    edges = torch.cat([torch.cat([s[:2], s[-2:]]) for s in sequences])
    around = edges.mean(0)
    found = []
    for sequence in sequences:
        far = (sequence - around).norm(dim=1)
        sums = torch.cat([far.new_zeros(1), (far - far.mean()).cumsum(0)])
        rise = sums - sums.cummin(0).values
        stop = int(rise.argmax())
        start = int(sums[: stop + 1].argmin())
        found.append(sequence[start:stop] if stop - start >= shortest else sequence)
    return found


def cluster(vectors: Tensor, count: int) -> Tensor:
    """At most ``count`` centroids of ``(N, D)`` by k-means++; short of points, points repeat."""
    if len(vectors) <= count:
        return vectors[torch.arange(count) % len(vectors)]
    if count == 1:
        return vectors.mean(0, keepdim=True)
    generator = np.random.default_rng(0)
    centroids, assigned = kmeans2(
        vectors.double().numpy(), count, minit="++", rng=generator, missing="warn"
    )
    counts = np.bincount(assigned, minlength=count)
    centroids[counts == 0] = vectors[generator.integers(len(vectors), size=(counts == 0).sum())]
    return torch.from_numpy(centroids).to(vectors.dtype)


def medoids(
    sequences: list[Tensor], count: int, metric: str, pattern: StepPattern, window: Window
) -> list[int]:
    """Indices of ``count`` medoids under the warping energy.

    Greedy build, then swaps of a medoid with a member of its cluster until nothing improves
    (Kaufman & Rousseeuw 1990, chapter 2).
    """
    lengths = torch.tensor([len(s) for s in sequences])
    batch = pad_sequence(sequences, batch_first=True)
    energies = ops.matrix(batch, lengths, batch, lengths, math.inf, pattern, window, metric)
    energies = energies / pattern.normaliser(lengths[:, None], lengths[None, :])
    # Two utterances of very different lengths may have no path: far apart, but not infinitely.
    finite = energies[torch.isfinite(energies)]
    cost = torch.nan_to_num(energies, posinf=float(finite.max()) * 10).numpy()
    chosen: list[int] = []
    for _ in range(min(count, len(sequences))):
        so_far = cost[:, chosen].min(1) if chosen else np.full(len(cost), np.inf)
        totals = np.minimum(cost, so_far[:, None]).sum(0)
        totals[chosen] = np.inf
        chosen.append(int(totals.argmin()))
    while True:
        assigned = cost[:, chosen].argmin(1)
        moved = list(chosen)
        for k in range(len(chosen)):
            members = np.flatnonzero(assigned == k)
            if len(members):
                moved[k] = int(members[cost[np.ix_(members, members)].sum(0).argmin()])
        if cost[:, moved].min(1).sum() >= cost[:, chosen].min(1).sum() - 1e-9:
            return chosen
        chosen = moved


def initialise(
    features: list[Tensor],
    words: Tensor,
    vocabulary: tuple[str, ...],
    options: Templates.Options,
    pattern: StepPattern,
    window: Window,
) -> tuple[Tensor, Tensor, Tensor]:
    """Templates from data, as ``options.init`` says.

    Returns references ``(M, L, D)`` (padded with zeros), their lengths ``(M,)`` and the index of
    the word of each ``(M,)``. Raises :class:`DataError` for a word without utterances.
    """
    references: list[Tensor] = []
    word_of: list[int] = []
    for index, word in enumerate(vocabulary):
        own = [features[i] for i in (words == index).nonzero().squeeze(1).tolist()]
        if not own:
            raise DataError(
                f"no utterance of the word {word!r} is left to make its templates from: add some, "
                "or take the word out of the training transcripts"
            )
        if options.init == "all":
            chosen = own
        elif options.init == "medoids":
            chosen = [own[i] for i in medoids(own, options.count, options.metric, pattern, window)]
        else:
            means = torch.stack([segment_means(f, options.length) for f in own])
            centroids = cluster(means.flatten(1), options.count)
            chosen = list(centroids.view(-1, *means.shape[1:]))
        references += chosen
        word_of += [index] * len(chosen)
    lengths = torch.tensor([len(r) for r in references])
    return pad_sequence(references, batch_first=True), lengths, torch.tensor(word_of)
