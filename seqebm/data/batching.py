"""Signals in memory, and batches of similar length."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from seqebm.data.datadir import DataDir, Utterance
from seqebm.data.readers import ReaderPool
from seqebm.data.signals import read_signal
from seqebm.data.targets import Target, read_target
from seqebm.errors import DataError

logger = logging.getLogger(__name__)
_JITTER = 0.1  # share by which lengths are perturbed before sorting, so that batches differ
_QUOTED = 10  # bad utterances quoted in an error message


@dataclass(frozen=True)
class Example:
    """One utterance with its signal.

    Attributes:
        id: the utterance id.
        signal: float32 ``(N,)`` samples or ``(N, C)`` points. Shared with the cache: not to be
            written to.
        target: the right answer, a transcript or an array; None if unknown.
        speaker: the speaker, None if unknown.
    """

    id: str
    signal: Tensor
    target: Target | None = None
    speaker: str | None = None


@dataclass(frozen=True)
class Batch:
    """Padded signals of B utterances.

    Attributes:
        signal: float32 ``(B, N)`` or ``(B, N, C)``, zero beyond each length.
        lengths: int64 ``(B,)``, valid samples or points.
        targets: B right answers, transcripts or arrays; ``""`` where there is none, and where
            nothing is said.
        ids: B utterance ids.
        speakers: B speakers; ``""`` where unknown.
    """

    signal: Tensor
    lengths: Tensor
    targets: list[Target]
    ids: list[str]
    speakers: list[str]

    def __len__(self) -> int:
        return len(self.ids)

    def to(self, device: torch.device | str) -> Batch:
        """This batch with its tensors on ``device``."""
        signal, lengths = self.signal.to(device), self.lengths.to(device)
        return Batch(signal, lengths, self.targets, self.ids, self.speakers)


def collate(examples: Sequence[Example]) -> Batch:
    """Pad examples into one :class:`Batch`; give it to a DataLoader as ``collate_fn``.

    Raises :class:`DataError` for no examples, signals of no samples, or signals that differ in
    their number of channels.
    """
    if not examples:
        raise DataError("a batch needs at least one example")
    first = examples[0].signal
    for example in examples:
        if len(example.signal) == 0:
            raise DataError(f"{example.id}: the signal has no samples")
        if example.signal.shape[1:] != first.shape[1:]:
            raise DataError(
                f"{example.id} has signal shape {tuple(example.signal.shape)}, but "
                f"{examples[0].id} has {tuple(first.shape)}: all need the same channels"
            )
    lengths = torch.tensor([len(e.signal) for e in examples], dtype=torch.int64)
    signal = torch.zeros((len(examples), int(lengths.max()), *first.shape[1:]))
    for row, example in zip(signal, examples, strict=True):
        row[: len(example.signal)] = example.signal
    return Batch(
        signal,
        lengths,
        ["" if e.target is None else e.target for e in examples],
        [e.id for e in examples],
        [e.speaker or "" for e in examples],
    )


class SignalDataset(Dataset[Example]):
    """The utterances of a data directory, read through the registered reader and cached.

    Every file is read once on construction: so all bad ones are known, by id, before the first
    epoch, and every length is known to the sampler.

    Args:
        source: a :class:`DataDir`, or utterances together with ``kind``.
        rate: samples per second to read at (the front-end's ``rate``).
        limit: longest utterance in seconds (the front-end's ``limit``); None: any.
        on_bad: ``"raise"`` (the default) or ``"skip"`` what cannot be used.
        check: an extra test, ``check(utterance, target)``; returns why the utterance is bad, or
            None.
        readers: the readers to use; None: the registered ones, with their defaults.
        kind: of the files, where ``source`` is no :class:`DataDir`.
        cache_bytes: most bytes of signals to keep in memory.
        progress: called with each utterance's number, from 1, while reading.

    Attributes:
        utterances: the usable ones; the index of the dataset refers to them.
        lengths: int64 array, samples of each, at ``rate``.
        bad: utterance id -> why it was skipped.

    Raises :class:`DataError` listing all bad utterances if there are any and ``on_bad`` is
    ``"raise"``, or if no utterance is left.
    """

    def __init__(
        self,
        source: DataDir | Iterable[Utterance],
        rate: int,
        *,
        limit: float | None = None,
        on_bad: Literal["raise", "skip"] = "raise",
        check: Callable[[Utterance, Target | None], str | None] | None = None,
        readers: ReaderPool | None = None,
        kind: str = "audio",
        cache_bytes: int = 1 << 30,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        if isinstance(source, DataDir):
            kind = source.kind
        self._pool = readers or ReaderPool(kind)
        self.rate = rate
        self.limit = limit
        self.cache_bytes = cache_bytes
        self.cached_bytes = 0
        self._cache: dict[str, np.ndarray] = {}
        self._targets: dict[str, Target | None] = {}
        self.utterances: list[Utterance] = []
        self.bad: dict[str, str] = {}
        lengths = []
        for number, utterance in enumerate(source, 1):
            try:
                samples, target = self._read(utterance), read_target(utterance)
                reason = check(utterance, target) if check else None
            except DataError as error:
                reason = str(error)
            if reason is None:
                self.utterances.append(utterance)
                lengths.append(len(samples))
                self._targets[utterance.id] = target
                self._keep(utterance.id, samples)
            else:
                self.bad[utterance.id] = reason
            if progress:
                progress(number)
        self.lengths = np.array(lengths, dtype=np.int64)
        self._report(on_bad)

    def _report(self, on_bad: str) -> None:
        total = len(self.bad) + len(self.utterances)
        if not self.bad and self.utterances:
            return
        listed = [f"  {name}: {reason}" for name, reason in self.bad.items()]
        head = f"{len(self.bad)} of {total} utterances cannot be used"
        if on_bad == "raise" or not self.utterances:
            shown = listed[:_QUOTED]
            if len(listed) > _QUOTED:
                shown.append(f"  ... and {len(listed) - _QUOTED} more")
            remedy = "Mend or drop them, or skip bad utterances in the configuration."
            if not self.utterances:
                remedy = "Nothing is left to work with."
            raise DataError("\n".join([f"{head}:", *shown, remedy]))
        # All of them, not the first few: the log is where somebody will look for the id.
        logger.warning("%s and are skipped:\n%s", head, "\n".join(listed))

    def _read(self, utterance: Utterance) -> np.ndarray:
        reader = self._pool.for_path(utterance.path)
        return read_signal(reader, utterance, self.rate, self.limit)

    def _keep(self, name: str, samples: np.ndarray) -> None:
        # What is in stays in. Under a random order with too little room, evicting the least
        # recently used would mean that nearly every look-up misses.
        if self.cached_bytes + samples.nbytes <= self.cache_bytes:
            self._cache[name] = samples
            self.cached_bytes += samples.nbytes

    def __len__(self) -> int:
        return len(self.utterances)

    def __getitem__(self, index: int) -> Example:
        utterance = self.utterances[index]
        samples = self._cache.get(utterance.id)
        if samples is None:
            samples = self._read(utterance)
        target = self._targets[utterance.id]
        return Example(utterance.id, torch.from_numpy(samples), target, utterance.speaker)


class LengthBucketedSampler(Sampler[list[int]]):
    """Batches of indices of similar length; for ``DataLoader(batch_sampler=...)``.

    Lengths are perturbed by up to 10 %, sorted and cut greedily into batches, which are then
    shuffled. All randomness comes from ``(seed, epoch)``: the same epoch gives the same batches
    in any process, so a resumed run goes on as if it had not been interrupted.

    Args:
        lengths: ``(N,)`` frames (samples, points) of each item, positive.
        max_items: most items in a batch.
        max_frames: most frames in a batch, padding included; None: any number.
        max_waste: largest share of a batch that may be padding, in [0, 1).
        shuffle: False gives batches of rising length without perturbation (for evaluation).
        seed: seed of the order.
        rank, world: this process and how many there are; each gets every world-th batch. The
            first batches are given again so that all processes get the same number.

    Raises :class:`DataError` for no items, an item of no frames, or one longer than
    ``max_frames``; ValueError for arguments out of range.
    """

    def __init__(
        self,
        lengths: Sequence[int] | np.ndarray,
        max_items: int,
        max_frames: int | None = None,
        max_waste: float = 0.2,
        *,
        shuffle: bool = True,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.lengths = np.asarray(lengths, dtype=np.int64)
        if max_items < 1:
            raise ValueError(f"max_items must be at least 1, not {max_items}")
        if not 0 <= max_waste < 1:
            raise ValueError(f"max_waste must be in [0, 1), not {max_waste}")
        if not 0 <= rank < world:
            raise ValueError(f"rank must be in [0, {world}), not {rank}")
        if len(self.lengths) == 0:
            raise DataError("there are no items to make batches of")
        if self.lengths.min() < 1:
            raise DataError(f"item {int(self.lengths.argmin())} has no frames")
        if max_frames is not None and self.lengths.max() > max_frames:
            raise DataError(
                f"item {int(self.lengths.argmax())} has {self.lengths.max()} frames, more than "
                f"the {max_frames} that a batch may have; raise max_frames or split the item"
            )
        self.max_items = max_items
        self.max_frames = max_frames
        self.max_waste = max_waste
        self.shuffle = shuffle
        self.seed = seed
        self.rank = rank
        self.world = world
        self.epoch = 0
        self.skip = 0
        self._planned: tuple[int, list[list[int]]] | None = None

    def set_epoch(self, epoch: int, skip: int = 0) -> None:
        """Choose the epoch, from 0; ``skip`` leaves out that many batches at its start."""
        self.epoch = epoch
        self.skip = skip

    def batches(self, epoch: int) -> list[list[int]]:
        """This process's batches of an epoch. Their number may differ by a few among epochs."""
        if self._planned is None or self._planned[0] != epoch:
            self._planned = (epoch, self._plan(epoch))
        return self._planned[1]

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches(self.epoch)[self.skip :])

    def __len__(self) -> int:
        return max(0, len(self.batches(self.epoch)) - self.skip)

    def _plan(self, epoch: int) -> list[list[int]]:
        if self.shuffle:
            rng = np.random.default_rng([self.seed, epoch])
            keys = self.lengths * rng.uniform(1 - _JITTER, 1 + _JITTER, len(self.lengths))
            batches = self._cut(np.argsort(keys, kind="stable"))
            batches = [batches[i] for i in rng.permutation(len(batches))]
        else:
            batches = self._cut(np.argsort(self.lengths, kind="stable"))
        missing = -len(batches) % self.world
        batches += [batches[i % len(batches)] for i in range(missing)]
        return batches[self.rank :: self.world]

    def _cut(self, order: np.ndarray) -> list[list[int]]:
        batches: list[list[int]] = []
        current: list[int] = []
        longest = total = 0
        for index in order.tolist():
            length = int(self.lengths[index])
            padded = max(longest, length) * (len(current) + 1)
            full = (
                len(current) == self.max_items
                or (self.max_frames is not None and padded > self.max_frames)
                or padded - total - length > self.max_waste * padded
            )
            if current and full:
                batches.append(current)
                current, longest, total = [], 0, 0
            current.append(index)
            longest, total = max(longest, length), total + length
        batches.append(current)
        return batches
