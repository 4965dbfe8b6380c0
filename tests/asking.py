"""Short ways to ask a lattice, as a model does."""

from __future__ import annotations

from seqebm.hooks import Request


def terms_of(lattice, features, lengths, targets, beta, request=Request()):
    """The three numbers of each item, of transcripts."""
    return lattice.meet(features, lengths).terms([lattice.parse(t) for t in targets], beta, request)


def clamped(lattice, features, lengths, targets):
    """The energies of the right answers alone, of transcripts."""
    return lattice.meet(features, lengths).clamped([lattice.parse(t) for t in targets])
