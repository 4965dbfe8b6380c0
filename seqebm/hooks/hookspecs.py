"""Every hook of seqebm. A plugin implements the ones it needs with ``@seqebm.hookimpl``.

Each ``seqebm_register_*`` hook receives a callable ``register(name, factory, options=None)``:

name
    The word used in a config, unique within its kind.
factory
    Makes the component; a callable, or ``"package.module:attribute"``, which is imported on
    first use (so that listing plugins stays fast). What it is called with is said at each hook;
    ``options`` is always the validated instance of the options class.
options
    A subclass of :class:`seqebm.hooks.Options` (a pydantic model that rejects unknown keys), or
    an import string. A factory may instead carry it as the attribute ``Options``. Without
    either, the component takes no options.
"""

from __future__ import annotations

from typing import Any

import pluggy

hookspec = pluggy.HookspecMarker("seqebm")
hookimpl = pluggy.HookimplMarker("seqebm")


@hookspec
def seqebm_register_readers(register):
    """Register readers of input files. ``factory(options)`` makes a :class:`Reader`."""


@hookspec
def seqebm_register_frontends(register):
    """Register front-ends (signal to frames). ``factory(options)`` makes a :class:`FrontEnd`."""


@hookspec
def seqebm_register_features(register):
    """Register feature extractors. ``factory(options, input_dim)`` makes a
    :class:`FeatureExtractor`."""


@hookspec
def seqebm_register_lattices(register):
    """Register lattices. ``factory(options, input_dim, vocabulary)`` is a subclass of
    :class:`Lattice`."""


@hookspec
def seqebm_register_inference(register):
    """Register ways to search for answers. ``factory(options)`` makes an :class:`Inference`; its
    options are a subclass of :class:`Search`."""


@hookspec
def seqebm_register_losses(register):
    """Register losses. ``factory(options)`` makes a :class:`Loss`."""


@hookspec
def seqebm_register_preparers(register):
    """Register corpus preparers. ``factory(options)`` returns ``prepare(destination: Path)``,
    which writes data directories below ``destination``; run by ``seqebm data prepare NAME``."""


@hookspec
def seqebm_register_exporters(register):
    """Register exporters of models. ``factory(options)`` returns ``export(model, destination)``,
    which writes files in the directory ``destination`` (a Path); run by ``seqebm export``."""


@hookspec
def seqebm_register_commands(app):
    """Add commands to the ``seqebm`` program. ``app`` is its :class:`typer.Typer`."""


@hookspec
def seqebm_train_start(exp: Any, config: Any, model: Any):
    """Training begins or resumes; ``exp`` is the experiment directory (a Path)."""


@hookspec
def seqebm_batch_end(epoch: int, step: int, loss: float):
    """An optimiser step is done; ``step`` counts from the start of training."""


@hookspec
def seqebm_epoch_end(epoch: int, metrics: dict, model: Any):
    """An epoch is done; ``metrics`` is the row that goes to the log and may be extended."""


@hookspec
def seqebm_checkpoint_saved(path: Any, epoch: int):
    """A checkpoint is complete on disk at ``path``."""


@hookspec
def seqebm_train_end(exp: Any, model: Any):
    """Training is done and the model is saved in ``exp``."""


@hookspec
def seqebm_decode_end(model: Any, answers: list, output: Any):
    """``seqebm decode`` has its answers; ``output`` is the directory they are in, or None."""


@hookspec
def seqebm_score(references: dict, hypotheses: dict):
    """``seqebm score`` has texts by utterance id; return further metrics, a dict of name to
    number, which are printed and go to the JSON (their names must not be taken)."""
