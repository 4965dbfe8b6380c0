"""The end-pointer: where in a recording somebody speaks, by the energy of its frames.

Lamel, Rabiner, Rosenberg & Wilpon 1981, "An improved endpoint detector for isolated word
recognition", cut words out by rules on pulses of energy; this is the simplest of their kind.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool1d, max_pool1d, pad

from seqebm_speech.options import EndpointOptions

QUIET_SHARE = 0.1  # of a recording's frames: how loud the room is
ABOVE_QUIET = 0.25  # of the range between that and the loudest frame
STEADY_DB, STEADY_MS = 3.0, 200.0  # so long so close to it: a room, and no weak consonant
NO_RANGE = 6.0  # dB: with less between them nothing is quiet, or everything
SMOOTHING = 3  # frames


class Cut(NamedTuple):
    """Frames that were cut out.

    Attributes:
        frames: ``(B, T', D)``.
        counts: ``(B,)`` valid ones.
        first: ``(B,)`` which frame of the recording is the first of them; below 0 where margins
            were filled in.
    """

    frames: Tensor
    counts: Tensor
    first: Tensor


def cut(logmel: Tensor, counts: Tensor, options: EndpointOptions, shift_ms: float) -> Cut:
    """Cut off what is quiet before and after what is loud.

    A frame is loud if its power is within ``range_db`` of the loudest one's and, where the room is
    heard, above it by a quarter of the range between. How loud the room is the quiet tenth of the
    frames tell, if 200 ms of the recording are hardly louder: in a word that was cut tightly that
    tenth are its own weak consonants, which must stay. Stretches of loud frames shorter than
    ``click_ms`` do not count, if there is a longer one. Around the first and the last loud frame a
    margin is kept; where the recording has none it is filled with its lowest value, so that a word
    that was cut tightly looks like one that was not.

    Args:
        logmel: ``(B, T, D)`` natural logarithms of power; counts: ``(B,)`` valid frames.
        options: see :class:`seqebm_speech.options.EndpointOptions`.
        shift_ms: milliseconds from frame to frame.
    """
    size = logmel.shape[1]
    index = torch.arange(size, device=logmel.device)[None, :]
    inside = index < counts[:, None]
    steady = max(1, round(STEADY_MS / shift_ms))
    loud = _loud(logmel, counts, inside, options.range_db, steady)
    loud = _without_clicks(loud, max(1, round(options.click_ms / shift_ms)))
    margin = round(options.margin_ms / shift_ms)
    first = torch.where(loud, index, size).amin(1) - margin
    stop = torch.where(loud, index, -1).amax(1) + 1 + margin
    new = stop - first
    source = first[:, None] + torch.arange(int(new.max()), device=logmel.device)
    there = (source >= 0) & (source < counts[:, None])
    kept = source.clamp(0, size - 1)[..., None].expand(-1, -1, logmel.shape[2])
    lowest = logmel.masked_fill(~inside[..., None], math.inf).amin((1, 2))[:, None, None]
    return Cut(torch.where(there[..., None], logmel.gather(1, kept), lowest), new, first)


def _loud(logmel: Tensor, counts: Tensor, inside: Tensor, range_db: float, steady: int) -> Tensor:
    level = logmel.logsumexp(2) * (10 / math.log(10))
    wide = SMOOTHING // 2
    # The average of what is inside alone, so that padding changes nothing.
    sums = avg_pool1d(pad((level * inside)[:, None], (wide, wide)), SMOOTHING, 1)[:, 0]
    share = avg_pool1d(pad(inside.to(level)[:, None], (wide, wide)), SMOOTHING, 1)[:, 0]
    level = torch.where(inside, sums / share.clamp(min=1e-6), -math.inf)
    top = level.amax(1, keepdim=True)
    ordered = level.masked_fill(~inside, math.inf).sort(1).values
    quiet = ordered.gather(1, (QUIET_SHARE * (counts[:, None] - 1)).long())
    room = (inside & (level <= quiet + STEADY_DB)).sum(1, keepdim=True) >= steady
    above = torch.where(room, quiet + ABOVE_QUIET * (top - quiet), -math.inf)
    threshold = torch.maximum(top - range_db, above)
    threshold = torch.where(top - quiet < NO_RANGE, -math.inf, threshold)
    return inside & (level >= threshold)


def _without_clicks(loud: Tensor, shortest: int) -> Tensor:
    """``(B, T)`` without runs shorter than so many frames, unless there are no others."""
    if shortest == 1:
        return loud
    flags = loud.float()[:, None]
    # Opening: a frame stays if some window of that length around it is all loud.
    eroded = 1 - max_pool1d(pad(1 - flags, (0, shortest - 1), value=1.0), shortest, 1)
    opened = max_pool1d(pad(eroded, (shortest - 1, 0)), shortest, 1)[:, 0] > 0.5
    return torch.where(opened.any(1, keepdim=True), opened, loud)
