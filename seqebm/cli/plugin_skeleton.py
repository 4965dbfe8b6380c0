"""What ``seqebm plugins new`` writes: a distribution with a component that works, and its test."""

from __future__ import annotations

import keyword
import re
from pathlib import Path
from typing import NamedTuple

from seqebm.errors import ConfigError
from seqebm.files import write_text


class Kind(NamedTuple):
    """What differs between kinds of plugins.

    Attributes:
        hook: registers it.
        code: of the component; ``{Name}`` is its class, ``{name}`` its name in a config.
        test: of the component.
        use: how the README says that it is used.
        needs: requirements besides seqebm.
    """

    hook: str
    code: str
    test: str
    use: str
    needs: tuple[str, ...] = ()


_CHECKED = """from seqebm.testing import assert_sound, check


def test_it_is_sound():
    assert_sound(check("{kinds}", "{name}"))


def test_its_options_reach_it():
    assert_sound(check("{kinds}", "{name}", {option}))
"""

LOSS = Kind(
    "losses",
    '''from pydantic import Field
from seqebm.hooks import Loss, Terms
from torch import Tensor


class {Name}(Loss):
    """max(0, m + C - I)²: a hinge that grows smoothly."""

    class Options(Loss.Options):
        """Keys under ``loss:`` of a config."""

        margin: float = Field(1.0, gt=0, description="energy gap I - C that is asked for")

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.margin = options.margin

    def __call__(self, terms: Terms) -> Tensor:
        """Loss of each item, ``(B,)``."""
        return (self.margin + terms.correct - terms.offending).clamp(min=0).square()
''',
    _CHECKED.replace("{option}", "margin=0.5"),
    "loss: {{name: {name}, margin: 0.5}}",
)

FEATURES = Kind(
    "features",
    '''from pydantic import Field
from seqebm.hooks import FeatureExtractor, valid_frames
from torch import Tensor, nn


class {Name}(FeatureExtractor):
    """A linear map of each frame and its neighbours."""

    class Options(FeatureExtractor.Options):
        """Keys under ``features:`` of a config."""

        dim: int = Field(32, ge=1, description="features a frame")

    def __init__(self, options: Options, input_dim: int) -> None:
        super().__init__()
        self.output_dim = options.dim
        self.linear = nn.Conv1d(input_dim, options.dim, 3, padding=1)

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, T, D)``, ``(B,)`` -> ``(B, T, dim)``, ``(B,)``."""
        # Padding may hold anything: what a valid frame can see of it is set to 0.
        inside = valid_frames(lengths, frames.shape[1])[:, :, None]
        frames = frames.masked_fill(~inside, 0.0)
        return self.linear(frames.transpose(1, 2)).relu().transpose(1, 2), lengths
''',
    _CHECKED.replace("{option}", "dim=5"),
    "features: {{name: {name}, dim: 32}}",
)

LATTICE = Kind(
    "lattices",
    '''import torch
from pydantic import Field
from seqebm.hooks import AnswerSet, valid_frames
from torch import Tensor, nn


class {Name}(AnswerSet):
    """The mean squared distance of an input's mean frame to a prototype of each word."""

    class Options(AnswerSet.Options):
        """Keys under ``lattice:`` of a config."""

        scale: float = Field(1.0, gt=0, description="factor of all energies")

    def __init__(self, options: Options, input_dim: int, vocabulary: tuple[str, ...]) -> None:
        super().__init__(vocabulary)
        self.scale = options.scale
        self.prototypes = nn.Parameter(torch.randn(len(vocabulary), input_dim))

    def energies(self, features: Tensor, lengths: Tensor, beta: float) -> Tensor:
        """``(B, T, D)``, ``(B,)`` -> ``(B, W)``; nothing is latent, so β plays no part."""
        lengths = lengths.to(features.device)
        inside = valid_frames(lengths, features.shape[1])[:, :, None]
        total = features.masked_fill(~inside, 0.0).sum(1)
        mean = total / lengths[:, None]
        return self.scale * (mean[:, None] - self.prototypes).square().mean(2)
''',
    _CHECKED.replace("{option}", "scale=0.5"),
    "lattice: {{name: {name}, scale: 1.0}}",
)

FRONTEND = Kind(
    "frontends",
    '''import torch
from pydantic import Field
from seqebm.hooks import FrontEnd, valid_frames
from torch import Tensor, nn


class {Name}(FrontEnd):
    """Energy of the sound in windows that do not overlap, in dB."""

    reads, limit, output_dim = "audio", 60.0, 1

    class Options(FrontEnd.Options):
        """Keys under ``frontend:`` of a config."""

        rate: int = Field(8000, ge=1, description="samples a second")
        window: int = Field(80, ge=1, description="samples a frame")

    def __init__(self, options: Options) -> None:
        super().__init__()
        self.rate, self.window = options.rate, options.window
        self.frame_shift = options.window / options.rate

    def forward(self, signal: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, N)``, ``(B,)`` -> ``(B, T, 1)``, ``(B,)``; the last samples may be left over."""
        counts = (lengths // self.window).clamp(min=1)
        signal = signal.masked_fill(~valid_frames(lengths, signal.shape[1]), 0.0)
        most = int(counts.max()) * self.window
        signal = nn.functional.pad(signal, (0, max(0, most - signal.shape[1])))[:, :most]
        power = signal.view(len(signal), -1, self.window).square().mean(2)
        return 10 * torch.log10(power + 1e-10)[:, :, None], counts
''',
    _CHECKED.replace("{option}", "window=40"),
    "frontend: {{name: {name}, rate: 8000}}",
)

READER = Kind(
    "readers",
    '''from pathlib import Path

import numpy as np
from pydantic import Field
from seqebm.hooks import DataError, Reader


class {Name}(Reader):
    """Raw float32 samples, 8,000 a second."""

    kind, suffixes = "audio", (".f32",)
    RATE = 8000

    class Options(Reader.Options):
        """Keys under ``frontend.reader:`` of a config."""

        gain: float = Field(1.0, gt=0, description="factor of all samples")

    def read(
        self, path: Path, rate: int, start: int | None = None, stop: int | None = None,
        limit: float | None = None, channel: int | None = None,
    ) -> np.ndarray:
        """Samples ``start`` to ``stop`` of a file, ``(N,)`` float32."""
        if channel:
            raise DataError(f"{{path}}: has one channel, number 0, not {{channel}}")
        if rate != self.RATE:
            raise DataError(f"{{path}}: has {{self.RATE}} samples/s; set frontend.rate to that")
        try:
            values = np.frombuffer(path.read_bytes(), "<f4").astype(np.float32)[start:stop]
        except FileNotFoundError:
            raise DataError(f"{{path}}: no such file") from None
        except ValueError:
            raise DataError(f"{{path}}: ends within a sample; copy it again") from None
        if limit is not None and len(values) > limit * rate:
            raise DataError(f"{{path}}: longer than {{limit:g}} s; split it")
        if not len(values) or not np.isfinite(values).all() or np.abs(values).max() > 1e3:
            raise DataError(f"{{path}}: is empty or not float32 sound; convert it again")
        return values * np.float32(self.options.gain)
''',
    """import numpy as np
from seqebm.hooks import get_host
from seqebm.testing import assert_sound, check_reader


def test_it_is_sound(tmp_path):
    path = tmp_path / "sound.f32"
    np.sin(np.arange(400, dtype="<f4")).tofile(path)
    reader = get_host().registry.make("readers", {{"name": "{name}"}}, "readers")
    assert_sound(check_reader(reader, path, 8000, tmp_path))
""",
    "frontend: {{name: logmel, reader: {{name: {name}, gain: 0.5}}}}  # for files that end in .f32",
)

PREPARER = Kind(
    "preparers",
    '''import wave
from pathlib import Path

import numpy as np
from pydantic import Field
from seqebm.hooks import Options as BaseOptions
from seqebm.hooks import Utterance, write_data_dir


class {Name}:
    """A corpus of two words, high and low tones, to show how a preparer works."""

    class Options(BaseOptions):
        """``--set`` of ``seqebm data prepare {name}``."""

        count: int = Field(5, ge=1, description="recordings of each word")

    def __init__(self, options: Options) -> None:
        self.count = options.count

    def __call__(self, destination: Path) -> None:
        """Write a data directory ``train`` below ``destination``."""
        sounds = destination / "train" / "wav"
        sounds.mkdir(parents=True, exist_ok=True)
        utterances = []
        for word, pitch in (("low", 200), ("high", 600)):
            for n in range(self.count):
                path = sounds / f"{{word}}{{n}}.wav"
                samples = 8000 * np.sin(2 * np.pi * pitch * np.arange(2000) / 8000)
                with wave.open(str(path), "wb") as file:
                    file.setparams((1, 2, 8000, 0, "NONE", ""))
                    file.writeframes(samples.astype("<i2").tobytes())
                utterances.append(Utterance(f"s-{{word}}{{n}}", path, word, "s"))
        write_data_dir(destination / "train", utterances, "audio")
''',
    """from seqebm.hooks import DataDir, get_host


def test_it_writes_a_data_directory(tmp_path):
    spec = {{"name": "{name}", "count": 3}}
    get_host().registry.make("preparers", spec, "preparers")(tmp_path)
    data = DataDir.load(tmp_path / "train")
    assert sorted(u.text for u in data.utterances) == ["high"] * 3 + ["low"] * 3
""",
    "# seqebm data prepare {name} DIR --set count=10",
)

KINDS = {
    "loss": LOSS, "lattice": LATTICE, "features": FEATURES, "frontend": FRONTEND,
    "reader": READER, "preparer": PREPARER,
}  # fmt: skip

_PYPROJECT = """[build-system]
requires = ["setuptools>=68"]
build-backend = "setuptools.build_meta"

[project]
name = "{dashed}"
version = "0.1.0"
description = "A {kind} for seqebm"
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["seqebm>={version}"]

[project.optional-dependencies]
test = ["pytest>=8"]

[project.entry-points.seqebm]
{name} = "{package}.plugin"

[tool.setuptools]
packages = ["{package}"]
"""

_PLUGIN = '''"""The hooks of this plugin; the entry point in pyproject.toml names this module."""

from seqebm.hooks import hookimpl

#: The least version of seqebm that this plugin works with; older ones say so, and skip it.
SEQEBM_REQUIRES = ">={version}"


@hookimpl
def seqebm_register_{hook}(register):
    """Register ``{name}``. As text, it is imported only when it is used."""
    register("{name}", "{package}.component:{Name}")
'''

_README = """# {dashed}

A {kind} for [seqebm](https://pypi.org/project/seqebm), called `{name}`.

```bash
pip install -e '.[test]'
seqebm plugins                # lists it
pytest                        # runs the conformance checks of seqebm
```

```yaml
{use}
```
"""


def write_skeleton(name: str, kind: str, destination: Path, version: str) -> Path:
    """Write a distribution below ``destination``; returns its directory.

    Raises :class:`ConfigError` for a name that is no Python name, an unknown kind, or a directory
    that is there already.
    """
    if kind not in KINDS:
        raise ConfigError(f"--kind {kind}: choose one of {', '.join(KINDS)}")
    if not re.fullmatch("[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise ConfigError(
            f"{name!r} cannot be a name: use lower-case letters, digits and _, e.g. my_{kind}"
        )
    what = KINDS[kind]
    words = {
        "name": name, "Name": "".join(part.capitalize() for part in name.split("_")),
        "package": f"seqebm_{name}", "dashed": f"seqebm-{name.replace('_', '-')}", "kind": kind,
        "hook": what.hook, "kinds": what.hook, "version": version,
    }  # fmt: skip
    root = destination / words["dashed"]
    if root.exists():
        raise ConfigError(f"{root} is there already; choose another name or --output")
    package = root / words["package"]
    files = {
        root / "pyproject.toml": _PYPROJECT,
        root / "README.md": _README.replace("{use}", what.use),
        package / "__init__.py": '"""A {kind} for seqebm."""\n',
        package / "plugin.py": _PLUGIN,
        package / "component.py": f'"""The {kind} ``{{name}}``."""\n\n{what.code}',
        root / "tests" / f"test_{name}.py": what.test,
    }
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text.format(**words))
    return root
