import logging
from importlib.metadata import EntryPoint

import pytest

from seqebm.errors import PluginError
from seqebm.hooks import PluginHost, hookimpl, manager
from seqebm.hooks.manager import PluginInfo


def plugin(losses=(), **functions):
    """A plugin that registers losses and implements other hooks."""

    def seqebm_register_losses(register):
        for name in losses:
            register(name, lambda options: None)

    names = {"seqebm_register_losses": seqebm_register_losses, **functions}
    return type("Plugin", (), {n: staticmethod(hookimpl(f)) for n, f in names.items()})


def info(name, distribution=None):
    return PluginInfo(name, distribution or f"{name}-dist", "1.0")


@pytest.fixture
def host():
    return PluginHost(load_installed=False)


def test_a_plugin_is_registered(host):
    host.register(plugin(["log", "hinge"]), info("p"))
    assert host.registry.names("losses") == ["hinge", "log"]
    (entry,) = host.plugins
    assert (entry.name, entry.error, entry.hooks) == ("p", None, ["seqebm_register_losses"])
    assert host.registry.get("losses", "log").distribution == "p-dist"


def test_events_reach_every_plugin(host):
    seen = []

    def seqebm_batch_end(epoch, loss):
        seen.append((epoch, loss))

    host.register(plugin(seqebm_batch_end=seqebm_batch_end), info("p"))
    host.register(plugin(seqebm_batch_end=seqebm_batch_end), info("q"))
    host.hook.seqebm_batch_end(epoch=1, step=2, loss=0.5)
    assert seen == [(1, 0.5)] * 2


@pytest.mark.parametrize("strict", [False, True])
def test_two_plugins_with_one_name_are_both_named(strict):
    host = PluginHost(strict=strict, load_installed=False)
    host.register(plugin(["log"]), info("first"))
    with pytest.raises(PluginError) as caught:
        host.register(plugin(["mee", "log"]), info("second"))
    for part in ("loss 'log'", "'first' (first-dist)", "'second' (second-dist)"):
        assert part in str(caught.value)
    # Nothing of the second remains, so a caller that goes on has a sound host.
    assert host.registry.names("losses") == ["log"]
    assert not host.manager.has_plugin("second")


def raises(register):
    raise RuntimeError("boom")


BROKEN = {
    "raises while registering": (plugin(seqebm_register_losses=raises), "RuntimeError: boom"),
    "unknown hook": (plugin(seqebm_register_loses=lambda register: None), "seqebm_register_loses"),
    "unknown argument": (plugin(seqebm_epoch_end=lambda epok: None), "epok"),
    "decorator forgotten": (
        type("Plugin", (), {"seqebm_batch_end": staticmethod(lambda loss: None)}),
        "seqebm_batch_end lacks the decorator",
    ),
    "raises after a registration": (
        plugin(["log"], seqebm_register_preparers=raises),
        "RuntimeError: boom",
    ),
}


@pytest.mark.parametrize(("broken", "part"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_skipped_with_a_warning(host, caplog, broken, part):
    host.register(plugin(["mee"]), info("good"))
    with caplog.at_level(logging.WARNING):
        host.register(broken, info("bad"))
    (record,) = caplog.records
    for text in ("'bad'", "bad-dist 1.0", part, "--strict-plugins"):
        assert text in record.getMessage()
    assert part in host.plugins[1].error
    assert host.registry.names("losses") == ["mee"]
    assert not host.manager.has_plugin("bad")
    # The others still work, and can still be added.
    host.register(plugin(["log"]), info("late"))
    assert host.registry.names("losses") == ["log", "mee"]
    host.hook.seqebm_epoch_end(epoch=1, metrics={}, model=None)


@pytest.mark.parametrize(("broken", "part"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_fatal_when_strict(broken, part):
    host = PluginHost(strict=True, load_installed=False)
    with pytest.raises(PluginError, match=r"'bad' \(bad-dist 1.0\) is broken") as caught:
        host.register(broken, info("bad"))
    assert part in str(caught.value)
    assert "uninstall bad-dist" in str(caught.value)


def test_two_distributions_with_one_plugin_name(host, caplog):
    host.register(plugin(["log"]), info("speech", "one"))
    with caplog.at_level(logging.WARNING):
        host.register(plugin(["mee"]), info("speech", "two"))
    assert "two 1.0" in caplog.text
    assert "already registered" in caplog.text
    assert host.registry.names("losses") == ["log"]  # the first one's is left alone
    assert host.manager.has_plugin("speech")


@pytest.fixture
def entry_points(monkeypatch, tmp_path):
    """Make installed plugins of source text."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(**sources):
        points = []
        for name, source in sources.items():
            (tmp_path / f"installed_{name}.py").write_text(source)
            points.append(EntryPoint(name, f"installed_{name}", "seqebm"))
        monkeypatch.setattr(manager, "entry_points", lambda group: points)

    return install


LOSS = (
    "from seqebm.hooks import hookimpl\n"
    "@hookimpl\n"
    "def seqebm_register_losses(register):\n"
    "    register({name!r}, 'math:fabs')\n"
)


def test_installed_plugins_are_loaded(entry_points, caplog):
    entry_points(
        broken="import no_such_module_at_all",
        core=LOSS.format(name="log"),
        other=LOSS.format(name="mee"),
    )
    host = PluginHost()
    assert [p.name for p in host.plugins] == ["core", "broken", "other"]
    assert host.registry.names("losses") == ["log", "mee"]
    assert "no_such_module_at_all" in caplog.text
    with pytest.raises(PluginError, match="no_such_module_at_all"):
        PluginHost(strict=True)


def test_a_name_of_the_core_is_never_attributed_to_a_latecomer(entry_points):
    entry_points(aaa=LOSS.format(name="log"), core=LOSS.format(name="log"))
    with pytest.raises(PluginError, match=r"'core' .* and 'aaa'"):
        PluginHost()


def test_a_local_file(host, tmp_path, monkeypatch):
    (tmp_path / "plugin.py").write_text(LOSS.format(name="mine"))
    host.load_file(tmp_path / "plugin.py")
    monkeypatch.chdir(tmp_path)
    host.load_file("plugin.py")  # the same one
    assert host.registry.names("losses") == ["mine"]
    assert [p.version for p in host.plugins] == ["local"]


def test_two_local_files_of_one_name(host, tmp_path):
    for folder in "ab":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "plugin.py").write_text(LOSS.format(name=folder))
        host.load_file(tmp_path / folder / "plugin.py")
    assert host.registry.names("losses") == ["a", "b"]


@pytest.mark.parametrize(
    ("source", "part"),
    [
        (None, "does not exist"),
        ("1 / 0", "ZeroDivisionError"),
        ("def (", "SyntaxError"),
        (LOSS.format(name="x").replace("losses", "loses"), "seqebm_register_loses"),
        (LOSS.format(name="taken"), "two plugins register"),
    ],
)
def test_a_bad_local_file_is_always_fatal(host, tmp_path, source, part):
    host.register(plugin(["taken"]), info("p"))
    path = tmp_path / "plugin.py"
    if source is not None:
        path.write_text(source)
    for _ in range(2):  # asking again must not be taken for "already loaded"
        with pytest.raises(PluginError, match=part):
            host.load_file(path)
    assert not host.strict
    path.write_text(LOSS.format(name="mended"))
    host.load_file(path)
    assert host.registry.names("losses") == ["mended", "taken"]
