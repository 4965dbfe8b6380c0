"""The preparer ``synthetic_ink``: handwriting that nobody wrote, for trials and tests."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seqebm.hooks import ConfigError, PluginError, write_text
from seqebm_ink.archive import Item, write_ink_dir
from seqebm_ink.ink import Floats, Ink
from seqebm_ink.options import SyntheticInkOptions
from seqebm_ink.strokes import write_strokes

logger = logging.getLogger(__name__)

FONTS = ("futural", "rowmans", "scripts", "cursive")  # those whose lines are one stroke wide
_JOINED = ("scripts", "cursive")  # their letters are joined
_CAP, _BASE = -12.0, 9.0  # of the fonts, whose y runs downwards: ascender and base line
_LIST = """
about after again animal answer around because before between better body book bread bring child
city close color country cover cross dark deep different door dream early earth eight enough
every example family father field figure final fish five floor follow food foot form four friend
garden girl give gold good great green group grow half hand happen hard head hear heat help high
home horse hour house hundred idea island jump just keep kind king know land large last late
laugh learn leave letter life light line list little live long machine main make many mark
measure might mile mind money moon more morning mother mountain move music name near never next
night nothing notice number object ocean often open order other over page paper part pattern
people person picture piece place plain plane plant play point pose power press problem produce
pull quick quiet rain reach ready right river road rock room rule sail scale school science
second sentence seven shape ship short simple sing size sleep slow small snow song sound south
special spell stand star start state stay step stone stop story street strong study summer
system table tail talk teach thing think thought thousand three through time together town
travel tree true turn under unit until usual very voice vowel wait walk warm watch water week
weight wheel where white whole winter wonder wood word world write yellow young zero zone
"""
WORDS = tuple(_LIST.split())
_CHARACTERS = {
    "digits": "0123456789",
    "upper": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "lower": "abcdefghijklmnopqrstuvwxyz",
}
_README = """\
This corpus is SYNTHETIC: no person wrote it. {count} inks were drawn with the single-stroke fonts
of A. V. Hershey (1967), distorted at random and sampled as a tablet would. What a recogniser
reaches here says that it works, not how well it would do with people.

train/ and test/ are data directories of different writers. A "writer" is a font, a size, a slant,
an aspect, a rhythm, a tablet and a hand that trembles more or less. samples/ holds a few inks of
the test part as JSON strokes, for trying `seqebm decode`.

Made by: seqebm data prepare synthetic_ink, with
{options}
"""


@dataclass(frozen=True)
class Writer:
    """What stays the same in all that one synthetic writer writes.

    Attributes:
        name: id.
        font: one of :data:`FONTS`.
        slant: shear, x per y.
        aspect: width of letters.
        size: height of an ascender, mm.
        spacing: gap between letters, in units of the font.
        drift: slope of the base line.
        tremble: of the hand, in units of the font.
        warp: degree of the smooth distortion.
        speed: ascender heights per second.
        rate: points per second of the tablet.
        resolution: points per mm of the tablet.
        delays: dots and bars are added after the whole word.
    """

    name: str
    font: str
    slant: float
    aspect: float
    size: float
    spacing: float
    drift: float
    tremble: float
    warp: float
    speed: float
    rate: float
    resolution: float
    delays: bool


def synthetic_ink(options: SyntheticInkOptions) -> Callable[[Path], list[Path]]:
    """Draw a corpus of characters or words.

    Below ``destination`` there will be the data directories ``train`` and ``test``, of kind ink
    and of different writers, ``train_dev`` and ``dev``, ``train`` without, and only, its last
    ``dev_writers`` (if any), ``samples/*.json``, and ``README.txt``, which says that the corpus is
    synthetic. The same options give the same corpus.

    Returns the function ``prepare(destination)``, which returns the data directories written.

    Raises:
        PluginError: Hershey-Fonts is not installed.
        ConfigError: ``fonts`` names a font that is not in :data:`FONTS`.
        DataError: a file cannot be written.
    """

    def prepare(destination: Path) -> list[Path]:
        destination = Path(destination).absolute()
        rng = np.random.default_rng(options.seed)
        (destination / "samples").mkdir(parents=True, exist_ok=True)
        glyphs = {font: _load(font) for font in options.fonts}
        texts = _texts(options, rng)
        count, parts = 0, {}
        for part, writers in (("train", options.train_writers), ("test", options.test_writers)):
            items: list[Item] = []
            kept = 0
            for number in range(writers):
                if number == writers - options.dev_writers:
                    kept = len(items)
                writer = _writer(f"{part}{number:03d}", options, rng)
                for text in texts[part]:
                    for k in range(options.repetitions):
                        ink = write(text, writer, glyphs[writer.font], rng)
                        name = f"{writer.name}-{text}-{k}"
                        items.append(Item(name, text, writer.name, ink.points(writer.rate)))
                        if part == "test" and number == 0 and k == 0 and text in texts[part][:3]:
                            write_strokes(destination / "samples" / f"{text}.json", ink)
            parts[part] = items
            if part == "train" and options.dev_writers:
                parts |= {"train_dev": items[:kept], "dev": items[kept:]}
            count += len(items)
        for part, items in parts.items():
            write_ink_dir(destination / part, items)
        listed = "\n".join(f"  {k}: {v}" for k, v in options.model_dump().items())
        write_text(destination / "README.txt", _README.format(count=count, options=listed))
        logger.info("synthetic_ink: %d inks, drawn with stroke fonts", count)
        return [destination / part for part in parts]

    return prepare


def _texts(options: SyntheticInkOptions, rng: np.random.Generator) -> dict[str, list[str]]:
    """What each writer of a part writes. The test part of words may have words of its own."""
    if options.what != "words":
        every = list(_CHARACTERS[options.what])
        return {"train": every, "test": every}
    words = [str(w) for w in rng.permutation(WORDS)[: options.words]]
    new = round(options.new_words * len(words) / 2)
    shared = len(words) - 2 * new
    return {"train": sorted(words[: shared + new]), "test": sorted(words[new:])}


def _load(font: str) -> dict[str, tuple[list[Floats], float]]:
    """Strokes (units of the font, y upwards from the base line) and width of every character."""
    try:
        from HersheyFonts import HersheyFonts
    except ImportError as error:
        raise PluginError(
            "synthetic_ink needs the package Hershey-Fonts: pip install 'seqebm-ink[synthesis]'"
        ) from error
    if font not in FONTS:
        raise ConfigError(f"fonts: {font!r} is none of {', '.join(FONTS)}")
    fonts = HersheyFonts()
    fonts.load_default_font(font)
    found = {}
    for character in "".join(_CHARACTERS.values()):
        (glyph,) = fonts.glyphs_for_text(character)
        strokes = []
        for stroke in glyph.strokes:
            points = np.array(list(stroke), np.float64)
            points = points - [glyph.left_offset, 0.0]
            strokes.append(np.stack([points[:, 0], _BASE - points[:, 1]], 1))
        found[character] = (strokes, float(glyph.char_width))
    return found


def _writer(name: str, options: SyntheticInkOptions, rng: np.random.Generator) -> Writer:
    d = options.distortion
    return Writer(
        name=name,
        font=str(rng.choice(options.fonts)),
        slant=rng.normal(0.1, 0.15 * d),
        aspect=float(np.exp(rng.normal(0, 0.15 * d))),
        size=rng.uniform(4, 12),
        spacing=rng.uniform(-1, 3),
        drift=rng.normal(0, 0.03 * d),
        tremble=rng.uniform(0.05, 0.25) * d,
        warp=rng.uniform(0.4, 1.0) * d,
        speed=rng.uniform(3, 7),
        rate=float(rng.choice([60, 100, 133, 200])),
        resolution=float(rng.choice([4, 10, 40])),
        delays=bool(rng.random() < 0.6),
    )


def write(
    text: str,
    writer: Writer,
    glyphs: dict[str, tuple[list[Floats], float]],
    rng: np.random.Generator,
) -> Ink:
    """One ink of ``text`` by ``writer``: distorted glyphs, sampled with the pen's speed."""
    body: list[Floats] = []
    late: list[Floats] = []
    x = 0.0
    for character in text:
        strokes, width = glyphs[character]
        scale = np.exp(rng.normal(0, 0.05, 2)) * [writer.aspect, 1.0]
        for stroke in strokes:
            moved = stroke * scale + [x, 0.0]
            if rng.random() < 0.03:
                moved = moved[::-1]
            if writer.delays and _is_mark(character, stroke):
                late.append(moved)
            elif body and writer.font in _JOINED and _near(body[-1][-1], moved[0]):
                body[-1] = np.concatenate([body[-1], moved])
            else:
                body.append(moved)
        x += width * scale[0] + writer.spacing * np.exp(rng.normal(0, 0.3))
    height = _BASE - _CAP
    waves = rng.normal(0, 1, (4, 2)) * writer.warp * 0.35
    phases = rng.uniform(0, 2 * np.pi, (4, 2))
    lengths = rng.uniform(12, 45, (4, 2))
    strokes_, times, clock = [], [], 0.0
    for stroke in [*body, *late]:
        points, seconds = _sampled(stroke, writer.rate, writer.speed * height)
        along = points[:, 0, None, None] / lengths + points[:, 1, None, None] / lengths[:, ::-1]
        points = points + (waves * np.sin(2 * np.pi * along + phases)).sum(1)
        points += _smooth(rng.normal(0, writer.tremble, points.shape))
        points[:, 0] += writer.slant * points[:, 1]
        points[:, 1] += writer.drift * points[:, 0]
        scale_mm = writer.size / height * writer.resolution
        strokes_.append(np.rint(points * scale_mm))
        times.append(clock + seconds)
        clock = times[-1][-1] + rng.uniform(0.05, 0.25)
    return Ink.of_strokes(strokes_, time=times, units_per_mm=writer.resolution, writer=writer.name)


def _near(end: Floats, start: Floats) -> bool:
    return bool(np.hypot(*(start - end)) < 5)


def _is_mark(character: str, stroke: Floats) -> bool:
    """Whether a stroke is a dot or bar that many add after the word."""
    if character in "ij":
        return bool(stroke[:, 1].min() > 0.6 * (_BASE - _CAP))
    return character == "t" and bool(np.ptp(stroke[:, 1]) < 2)


def _sampled(stroke: Floats, rate: float, speed: float) -> tuple[Floats, Floats]:
    """Points of a stroke at equal times, and these times.

    The polygon is rounded first. The pen slows down where its way bends: its speed goes with the
    power -1/3 of curvature (Lacquaniti, Terzuolo & Viviani 1983), and at both ends.
    """
    if len(stroke) < 2:
        return np.repeat(stroke, 3, 0), np.arange(3) / rate
    fine = _along(stroke, 0.25)
    if len(fine) > 8:
        fine = np.stack([_smooth(fine[:, 0]), _smooth(fine[:, 1])], 1)
    step = np.diff(fine, axis=0)
    length = np.hypot(*step.T)
    turn = np.abs(np.diff(np.unwrap(np.arctan2(step[:, 1], step[:, 0]))))
    bend = np.concatenate([turn, turn[-1:]]) / np.maximum(length, 1e-6) if len(turn) else 0 * length
    pace = speed * (1 + 8 * _smooth(bend)) ** (-1 / 3)
    ends = np.minimum(np.arange(len(pace)), np.arange(len(pace))[::-1]) / 12
    pace *= 0.4 + 0.6 * np.minimum(ends, 1)
    clock = np.concatenate([[0], np.cumsum(length / pace)])
    times = np.arange(0, clock[-1] + 1 / rate, 1 / rate)
    return np.stack([np.interp(times, clock, fine[:, c]) for c in (0, 1)], 1), times


def _along(stroke: Floats, step: float) -> Floats:
    length = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(stroke, axis=0).T))])
    at = np.linspace(0, length[-1], max(2, int(length[-1] / step)))
    return np.stack([np.interp(at, length, stroke[:, c]) for c in (0, 1)], 1)


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average over five neighbours along the first axis, ends held."""
    if len(values) < 5:
        return values
    padded = np.concatenate([values[:1], values[:1], values, values[-1:], values[-1:]])
    total = np.cumsum(np.concatenate([np.zeros_like(padded[:1]), padded]), 0)
    return np.asarray((total[5:] - total[:-5]) / 5)
