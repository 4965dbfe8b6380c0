"""Trainable elastic templates: the warp lattice of isolated words.

The recogniser of Driancourt & Bottou (1991): each word has K reference sequences; the energy of a
word is the (soft) minimum over its templates of the length-normalised warping energy. The
templates are parameters, trained jointly with the network that feeds them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from seqebm.hooks import Options as BaseOptions
from seqebm.inference.free_energy import free_energy
from seqebm.kernels.warp import ops
from seqebm.kernels.warp.patterns import Window, get_pattern, minimum_frames
from seqebm.lattices import template_init
from seqebm.lattices.answers import AnswerSet, Warp
from seqebm.lattices.free_ends import FreeEnds

_FREE = ("asymmetric", "linear")  # patterns that count each input frame once, at no penalty


class Templates(AnswerSet):
    """K elastic templates a word, matched by dynamic time warping.

    The latent variable Z is (which template, which warping path). ``path_beta`` and
    ``template_beta`` soften the minimum over each; where they are not given, the β of inference
    is used. The sum over paths is taken before the energy is divided by the path's length.
    """

    class Options(BaseOptions):
        """Options of the elastic templates."""

        count: int = Field(3, ge=1, le=10_000, description="templates per word, K")
        length: int = Field(
            8, ge=1, le=10_000, description="frames per template, L (init: segment_means)"
        )
        metric: Literal["cosine", "sqeuclidean"] = Field(
            "cosine", description="local energy of two frames: 1 - cos, or squared distance"
        )
        pattern: str = Field(
            "asymmetric", description="step pattern (seqebm.kernels.warp.patterns)"
        )
        band: float | None = Field(None, gt=0, description="Sakoe-Chiba half-width in frames")
        slope: float | None = Field(None, gt=1, description="Itakura parallelogram's largest slope")
        path_beta: float | None = Field(None, gt=0, description="β over warping paths")
        template_beta: float | None = Field(None, gt=0, description="β over a word's templates")
        ends: Literal["closed", "open", "background"] = Field(
            "closed",
            description="closed: a template explains the whole input; open: it may find its word "
            "anywhere, at a learned price for each frame that is left out; background: that price "
            "depends on the frame, too (patterns asymmetric and linear, without band and slope)",
        )
        init: Literal["segment_means", "medoids", "all"] = Field(
            "segment_means",
            description="segment_means: clustered means of L equal parts; medoids: the K most "
            "central utterances at full length; all: every utterance (nearest neighbour)",
        )
        trainable: bool = Field(True, description="false: templates stay as they are initialised")
        dropout: float = Field(0.0, ge=0, lt=1, description="drops templates while training")

        @field_validator("pattern")
        @classmethod
        def _known(cls, name: str) -> str:
            return get_pattern(name).name

        @model_validator(mode="after")
        def _free_ends(self) -> Templates.Options:
            if self.ends != "closed":
                if self.pattern not in _FREE:
                    raise ValueError(
                        f"ends: {self.ends} needs a pattern that counts each input frame once: "
                        f"{' or '.join(_FREE)}, not {self.pattern}"
                    )
                if self.band is not None or self.slope is not None:
                    raise ValueError(
                        f"ends: {self.ends} and band or slope exclude each other: where a word "
                        "may be anywhere, there is no diagonal to stay near"
                    )
                if self.length < 2:
                    raise ValueError(f"ends: {self.ends} needs a length of 2 or more")
            return self

    reference_lengths: Tensor
    word_of: Tensor
    free_ends: FreeEnds | None

    def __init__(
        self, options: Templates.Options, input_dim: int, vocabulary: tuple[str, ...]
    ) -> None:
        super().__init__(vocabulary)
        self.options = options
        self.pattern = get_pattern(options.pattern)
        self.window = Window(options.band, options.slope)
        total = len(vocabulary) * options.count
        self.references = nn.Parameter(
            torch.randn(total, options.length, input_dim), requires_grad=options.trainable
        )
        self.free_ends = None
        if options.ends != "closed":
            self.free_ends = FreeEnds(input_dim, options.ends == "background")
        self.register_buffer("reference_lengths", torch.full((total,), options.length))
        self.register_buffer("word_of", torch.arange(total) // options.count)

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        # How many templates there are, and how long, depends on the data they were set from.
        if (saved := state.get(prefix + "references")) is not None:
            self._resize(len(saved), saved.shape[1])
        super()._load_from_state_dict(state, prefix, *rest)

    def _resize(self, total: int, length: int) -> None:
        if self.references.shape[:2] != (total, length):
            old = self.references
            self.references = nn.Parameter(
                old.new_empty(total, length, old.shape[2]), requires_grad=old.requires_grad
            )
            self.reference_lengths = self.reference_lengths.new_full((total,), length)
            self.word_of = self.word_of.new_zeros(total)

    @torch.no_grad()
    def _set(self, references: Tensor, lengths: Tensor, word_of: Tensor) -> None:
        """Take these templates: ``(M, L, D)``, their lengths and the words that they are of."""
        self._resize(*references.shape[:2])
        self.references.copy_(references)
        self.reference_lengths.copy_(lengths)
        self.word_of.copy_(word_of)

    @torch.no_grad()
    def initialise(self, features: list[Tensor], targets: list[str]) -> None:
        """Set the templates from ``(T_i, D)`` features and their words.

        Raises :class:`seqebm.errors.DataError` for a word without any utterance.
        """
        words = torch.tensor([self.index(t) for t in targets])
        if self.free_ends is not None:
            features = template_init.without_background(features, self.options.length)
        references, lengths, word_of = template_init.initialise(
            features, words, self.vocabulary, self.options, self.pattern, self.window
        )
        self._set(references, lengths, word_of)
        if self.free_ends is not None:
            some = torch.cat(features)[: 4 * len(references)]
            local = ops.local_energy(some[None], references, self.options.metric)
            own = sum(map(len, features)) / len(features)
            self.free_ends.initialise(local, own / float(lengths.double().mean()))

    @torch.no_grad()
    def enrolled(self, word: str, features: Sequence[Tensor]) -> Templates:
        """Each example becomes a template of the word, in the form that ``init`` gives templates.

        With free ends they are taken from the stretch of each that is least like its ends.
        """
        examples = list(features)
        if self.free_ends is not None:
            examples = template_init.without_background(examples, self.options.length)
        if self.options.init == "segment_means":
            examples = [template_init.segment_means(e, self.options.length) for e in examples]
        vocabulary = self.vocabulary + (() if word in self._index else (word,))
        index = vocabulary.index(word)
        own = [r[:n] for r, n in zip(self.references, self.reference_lengths, strict=True)]
        return self._copied(
            vocabulary, [*own, *examples], [*self.word_of.tolist(), *[index] * len(examples)]
        )

    def without(self, word: str) -> Templates:
        """Without a word's templates."""
        gone = self.index(word)
        kept = [m for m, w in enumerate(self.word_of.tolist()) if w != gone]
        return self._copied(
            tuple(w for w in self.vocabulary if w != word),
            [self.references[m, : self.reference_lengths[m]] for m in kept],
            [w - (w > gone) for w in self.word_of[kept].tolist()],
        )

    @torch.no_grad()
    def _copied(
        self, vocabulary: tuple[str, ...], references: list[Tensor], word_of: list[int]
    ) -> Templates:
        other = Templates(self.options, self.references.shape[2], vocabulary)
        lengths = torch.tensor([len(r) for r in references])
        other._set(pad_sequence(references, batch_first=True), lengths, torch.tensor(word_of))
        if other.free_ends is not None and self.free_ends is not None:
            other.free_ends.load_state_dict(self.free_ends.state_dict())
        return other.to(self.references)

    def template_energies(self, features: Tensor, lengths: Tensor, beta: float) -> Tensor:
        """``(B, T, D)``, ``(B,)`` -> ``(B, M)`` length-normalised energy of each template."""
        path_beta = self.options.path_beta or beta
        if self.free_ends is not None:
            return self.free_ends.energies(
                features, lengths, self.references, self.reference_lengths, path_beta,
                self.pattern, self.options.metric,
            )  # fmt: skip
        raw = ops.matrix(
            features,
            lengths,
            self.references,
            self.reference_lengths,
            path_beta,
            self.pattern,
            self.window,
            self.options.metric,
        )
        return raw / self.pattern.normaliser(lengths[:, None], self.reference_lengths[None, :])

    def energies(self, features: Tensor, lengths: Tensor, beta: float) -> Tensor:
        """``(B, T, D)``, ``(B,)`` -> ``(B, W)``: the (soft) minimum over each word's templates."""
        energies = self.template_energies(features, lengths, beta)
        if self.training and self.options.dropout > 0:
            # Never all templates of a word: the first of a random order always stays.
            dropped = torch.rand_like(energies) < self.options.dropout
            keep = torch.rand_like(energies)
            grouped_keep = self._by_word(keep, fill=-1.0)
            best = grouped_keep.amax(2).gather(1, self.word_of.expand(len(energies), -1))
            energies = energies.masked_fill(dropped & (keep < best), math.inf)
        grouped = self._by_word(energies, fill=math.inf)
        return free_energy(grouped, self.options.template_beta or beta)

    def _by_word(self, values: Tensor, fill: float) -> Tensor:
        """``(B, M)`` values per template -> ``(B, W, K)``, padded with ``fill``."""
        order = torch.argsort(self.word_of, stable=True)
        counts = torch.bincount(self.word_of, minlength=len(self.vocabulary))
        starts = torch.cumsum(counts, 0) - counts
        slot = torch.arange(len(order), device=order.device) - starts[self.word_of[order]]
        grouped = values.new_full((len(values), len(counts), int(counts.max())), fill)
        grouped[:, self.word_of[order], slot] = values[:, order]
        return grouped

    def minimum_frames(self, target: str) -> int:
        """Fewest feature frames that the shortest-reaching template of ``target`` admits."""
        own = self.reference_lengths[self.word_of == self.index(target)].unique().tolist()
        if self.free_ends is not None:  # the rows and columns around it are no frames
            return max(1, min(minimum_frames(length + 2, self.pattern) for length in own) - 2)
        return min(minimum_frames(length, self.pattern, self.window) for length in own)

    @torch.no_grad()
    def usage(self, features: Tensor, lengths: Tensor, targets: list[str]) -> dict[str, int]:
        """How often each template of the targets' words was the best one of the right answer."""
        energies = self.template_energies(features, lengths, math.inf)
        words = torch.tensor([self.index(t) for t in targets], device=energies.device)
        own = self.word_of[None] == words[:, None]
        energies = energies.masked_fill(~own, math.inf)
        winners = energies.argmin(1)[torch.isfinite(energies.amin(1))]
        wins = torch.bincount(winners, minlength=len(self.word_of)).tolist()
        numbers: Counter[int] = Counter()
        used = {}
        for template, word in enumerate(self.word_of.tolist()):
            if bool(own[:, template].any()):
                used[f"{self.vocabulary[word]}#{numbers[word]}"] = wins[template]
            numbers[word] += 1
        return used

    @torch.no_grad()
    def warp(self, features: Tensor, word: str) -> Warp:
        """Warp ``(T, D)`` features onto the best template of ``word`` (Viterbi, β = ∞)."""
        own = (self.word_of == self.index(word)).nonzero().squeeze(1)
        time = torch.tensor([len(features)])
        references = self.references[own]
        local = ops.local_energy(features[None], references, self.options.metric)[0]
        lengths = self.reference_lengths[own]
        if self.free_ends is not None:
            energies, paths = self.free_ends.match(features, local, lengths, self.pattern)
        else:
            raw, paths = ops.best_path(
                local.contiguous(), time.expand(len(own)), lengths, self.pattern, self.window
            )
            energies = raw / self.pattern.normaliser(time, lengths)
        best = int(energies.argmin())
        length = int(lengths[best])
        return Warp(
            word,
            best,
            float(energies[best]),
            paths[best],
            references[best, :length],
            local[best, :, :length],
        )
