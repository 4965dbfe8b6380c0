"""What the core registers, through the same hooks as any plugin.

Factories are import strings: listing them costs nothing.
"""

from __future__ import annotations

from seqebm.hooks import hookimpl


@hookimpl
def seqebm_register_features(register):
    """The feature extractors of the core."""
    register("identity", "seqebm.features.identity:Identity")
    register("tdnn", "seqebm.features.tdnn:TDNN")
    register("convtdnn", "seqebm.features.convtdnn:ConvTDNN")
    register("sdnn", "seqebm.features.sdnn:SDNN")
    register("parallel", "seqebm.features.parallel:Parallel")


@hookimpl
def seqebm_register_lattices(register):
    """The lattices of the core."""
    register("templates", "seqebm.lattices.templates:Templates")
    register("pooled", "seqebm.lattices.pooled:Pooled")
    register("sum", "seqebm.lattices.factors:Sum")
    register("chain", "seqebm.lattices.chain:Chain")
    register("hmm", "seqebm.lattices.hmm:HMM")


@hookimpl
def seqebm_register_inference(register):
    """The ways to search of the core."""
    register("exact", "seqebm.inference.search:Exact")
    register("beam", "seqebm.inference.search:Beam")


@hookimpl
def seqebm_register_exporters(register):
    """The exporters of the core."""
    register("arrays", "seqebm.models.exporters:Arrays")


@hookimpl
def seqebm_register_losses(register):
    """The losses of DESIGN section 4, and those that know what an error costs."""
    for name, functional in (
        ("energy", "Energy"),
        ("perceptron", "Perceptron"),
        ("hinge", "Hinge"),
        ("margin_hinge", "MarginHinge"),
        ("log", "Log"),
        ("lvq2", "LVQ2"),
        ("mce", "MCE"),
        ("square_square", "SquareSquare"),
        ("square_exponential", "SquareExponential"),
        ("nll", "NLL"),
        ("mee", "MEE"),
        ("softmax_margin", "SoftmaxMargin"),
        ("boosted_mmi", "BoostedMMI"),
        ("mbr", "MBR"),
    ):
        register(name, f"seqebm.losses.functionals:{functional}")
