import pytest
from pydantic import BaseModel, Field

from seqebm.errors import ConfigError, PluginError
from seqebm.hooks import Component, Options
from seqebm.hooks.registry import Registry


class Inner(BaseModel):
    model_config = {"extra": "forbid"}
    depth: int = 1


class LossOptions(Options):
    margin: float = Field(1.0, ge=0)
    scale: float = 2.0
    inner: Inner = Inner()


class Loss:
    Options = LossOptions

    def __init__(self, options, **context):
        self.options = options
        self.context = context


@pytest.fixture
def registry():
    registry = Registry()
    registry.add(Component("losses", "hinge", Loss, None, "p", "p-dist"))
    registry.add(Component("losses", "plain", lambda options: options, None, "p", "p-dist"))
    registry.add(
        Component("losses", "lazy", f"{__name__}:Loss", f"{__name__}:LossOptions", "q", "q-dist")
    )
    registry.add(Component("losses", "gone", "no_such_module_at_all:Loss", None, "q", "q-dist"))
    return registry


def test_making_a_component(registry):
    loss = registry.make("losses", {"name": "hinge", "margin": 3}, "loss", extra=1)
    assert (loss.options.margin, loss.options.scale, loss.context) == (3.0, 2.0, {"extra": 1})


def test_factories_and_options_may_be_import_strings(registry):
    assert registry.make("losses", {"name": "lazy", "scale": 5}, "loss").options.scale == 5


def test_the_spec_is_not_changed(registry):
    spec = {"name": "hinge", "margin": 3}
    registry.make("losses", spec, "loss")
    assert spec == {"name": "hinge", "margin": 3}


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        ({"name": "hing"}, ["no loss is called 'hing'", "'hinge'", "gone, hinge, lazy, plain"]),
        ({"name": "zzz"}, ["no loss is called 'zzz'", "seqebm plugins"]),
        ({}, ["loss.name", "hinge"]),
        (
            {"name": "hinge", "margn": 1},
            ["loss.margn: unknown key", "Did you mean 'margin'?", "inner, margin, scale"],
        ),
        (
            {"name": "hinge", "inner": {"dept": 1}},
            ["loss.inner.dept: unknown key", "Did you mean 'depth'?", "Valid keys: depth."],
        ),
        ({"name": "hinge", "margin": -1}, ["loss.margin", "greater than or equal to 0", "got -1"]),
        ({"name": "hinge", "margin": "wide"}, ["loss.margin", "'wide'"]),
        ({"name": "plain", "margin": 1}, ["loss.margin: unknown key", "Valid keys: none"]),
    ],
)
def test_faults_name_the_place_and_the_remedy(registry, spec, parts):
    with pytest.raises(ConfigError) as caught:
        registry.make("losses", spec, "loss")
    for part in parts:
        assert part in str(caught.value)


def test_all_faults_are_named_at_once(registry):
    with pytest.raises(ConfigError) as caught:
        registry.make("losses", {"name": "hinge", "margin": -1, "x": 1}, "loss")
    assert "loss.margin" in str(caught.value)
    assert "loss.x" in str(caught.value)


def test_a_factory_that_cannot_be_imported_names_its_plugin(registry):
    with pytest.raises(PluginError, match=r"loss 'gone' of plugin 'q' \(q-dist\).*no_such_module"):
        registry.make("losses", {"name": "gone"}, "loss")


def test_options_that_cannot_be_imported_name_their_plugin(registry):
    registry.add(Component("losses", "half", Loss, f"{__name__}:Missing", "q", "q-dist"))
    with pytest.raises(PluginError, match=r"loss 'half' of plugin 'q' \(q-dist\).*Missing"):
        registry.make("losses", {"name": "half"}, "loss")


def test_a_name_belongs_to_its_kind(registry):
    registry.add(Component("readers", "hinge", Loss, None, "p", "p-dist"))
    assert registry.names("readers") == ["hinge"]
    assert [c.name for c in registry.all()] == ["hinge", "gone", "hinge", "lazy", "plain"]


def test_forgetting_a_plugin(registry):
    registry.remove_plugin("q")
    assert registry.names("losses") == ["hinge", "plain"]
    assert registry.get("losses", "hinge").source == f"{__name__}:Loss"
