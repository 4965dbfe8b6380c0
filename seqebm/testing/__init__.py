"""Conformance checks for components, ours and those of plugins: ``seqebm plugins check NAME``.

In a test of a plugin::

    from seqebm.testing import assert_sound, check

    def test_my_loss_is_sound():
        assert_sound(check("losses", "my_loss", margin=0.5))
"""

from seqebm.testing.checking import CHECKED, assert_sound, check
from seqebm.testing.features import check_features
from seqebm.testing.findings import Finding
from seqebm.testing.frontends import check_frontend, check_reader
from seqebm.testing.lattices import check_lattice
from seqebm.testing.losses import check_loss

__all__ = [
    "CHECKED",
    "Finding",
    "assert_sound",
    "check",
    "check_features",
    "check_frontend",
    "check_lattice",
    "check_loss",
    "check_reader",
]
