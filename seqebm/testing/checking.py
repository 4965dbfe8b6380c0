"""Check a registered component by its kind and name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from seqebm.errors import ConfigError
from seqebm.hooks import get_host
from seqebm.testing.features import check_features
from seqebm.testing.findings import Finding
from seqebm.testing.frontends import check_frontend
from seqebm.testing.lattices import check_lattice
from seqebm.testing.losses import check_loss

#: Kinds that can be checked by name; a reader needs a file: :func:`seqebm.testing.check_reader`.
CHECKED = ("losses", "lattices", "features", "frontends")


def check(kind: str, name: str, **options: Any) -> list[Finding]:
    """Check a component that a plugin registered.

    Args:
        kind: one of :data:`CHECKED`.
        name: as a config names it.
        options: as under its section of a config.

    Raises :class:`seqebm.errors.ConfigError` for an unknown name or option, or a kind that cannot
    be checked by name.
    """
    registry = get_host().registry

    def make(**context: Any) -> Any:
        return registry.make(kind, {"name": name, **options}, kind, **context)

    if kind == "losses":
        return check_loss(make())
    if kind == "features":
        return check_features(lambda dim: make(input_dim=dim))
    if kind == "lattices":
        return check_lattice(lambda dim, words: make(input_dim=dim, vocabulary=words))
    if kind == "frontends":
        return check_frontend(make)
    raise ConfigError(f"{kind} are not checked by name; choose one of {', '.join(CHECKED)}")


def assert_sound(findings: Iterable[Finding]) -> None:
    """Raise AssertionError that lists the checks which did not pass."""
    faults = [f"{f.name}: {f.text}" for f in findings if not f.passed]
    if faults:
        raise AssertionError("\n".join(faults))
