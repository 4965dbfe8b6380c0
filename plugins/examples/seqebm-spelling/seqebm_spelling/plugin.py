"""The hooks of this plugin; the entry point in pyproject.toml names this module."""

from seqebm.hooks import hookimpl

#: The least version of seqebm that this plugin works with; older ones say so, and skip it.
SEQEBM_REQUIRES = ">=0.1.0"


@hookimpl
def seqebm_register_lattices(register):
    """Register ``spelling``. As text, it is imported only when it is used."""
    register("spelling", "seqebm_spelling.component:Spelling")
