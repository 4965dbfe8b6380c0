"""Recognise files with any model: ``seqebm.recognise``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from seqebm.data import DataDir
from seqebm.decoding.batches import files_as_utterances
from seqebm.decoding.decoder import recognise_utterances
from seqebm.decoding.results import Result
from seqebm.errors import ConfigError, SeqebmError
from seqebm.models import Recognizer


def recognise(
    model: Recognizer | str | os.PathLike[str],
    inputs: Iterable[str | os.PathLike[str]] | DataDir,
    **search: Any,
) -> Iterator[Result | SeqebmError]:
    """Recognise files, or the utterances of a data directory, in order.

    Args:
        model: a trained model, or its directory.
        inputs: files that the model's front-end reads (audio, ink, ...), or a data directory.
        search: of a model whose answers are strings: options of ``inference`` in place of the
            model's own (:class:`seqebm.inference.search.Search`), such as ``beam`` and ``nbest``.

    Yields for each input its answer, with ``id`` (the file), ``text`` and ``energy``, or, for a bad
    one, the :class:`SeqebmError` that says what is wrong with it: one corrupt file does not cost
    the others.

    Raises:
        ModelError: there is no such model.
        ConfigError: the search has options that the model cannot use.
    """
    loaded = model if isinstance(model, Recognizer) else Recognizer.load(Path(model))
    utterances = (
        list(inputs.utterances)
        if isinstance(inputs, DataDir)
        else files_as_utterances([Path(path) for path in inputs])
    )
    if search and loaded.lattice.answers != "string":
        what = "one of a list" if loaded.lattice.answers == "choice" else "arrays"
        raise ConfigError(
            f"{', '.join(search)}: the answers of this model are {what}, so nothing is searched; "
            "leave it out"
        )
    yield from recognise_utterances(loaded, utterances, search)
