"""What is in a recording: nothing at all, or channels that do not belong together.

Only sums are kept, so that hours of audio need no memory. Energies are those of deviations from
the mean: a constant (the offset of a microphone's amplifier) cannot be heard.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# RMS below which there is no sound: half a step of 16 bits, which such files cannot hold.
SILENT = 2.0**-16
# Unrelated channels keep 1/N of their energy in the mean of N. With less than half of that they
# cancel each other: of two, the correlation is below -1/2. A stereo recording is far above.
CANCELLED = 0.5
# Two microphones of one room hear the same voice; correlations of two voices stay below 0.1 within
# a second. Microphones far apart may be below, too, and get the warning.
UNRELATED = 0.1
ENOUGH = 200  # samples: fewer say little about two channels
# A voice that is heard in a channel is at most so much weaker than one in the other: 20 dB.
LOUD = 0.01


class Hearing:
    """Collects sums over the blocks of a recording of C channels.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        self.channels = channels
        self.count = 0
        self._first = np.zeros(channels)
        self._sum = np.zeros(channels + 1)  # of each channel, and of their mean
        self._squares = np.zeros(channels + 1)

    def add(self, block: NDArray[np.float32], mean: NDArray[np.float32]) -> None:
        """Add ``(n, C)`` samples and their mean ``(n,)``."""
        if not self.count:
            self._first = block[0].astype(np.float64)
        # Less the first sample: the square of an offset must not drown what is small.
        columns = (*(block.T - self._first[:, None]), mean - self._first.mean())
        self.count += len(block)
        self._sum += [float(c.sum(dtype=np.float64)) for c in columns]
        self._squares += [float(np.dot(d := c.astype(np.float64), d)) for c in columns]

    @property
    def loud(self) -> list[int]:
        """The channels that hold sound."""
        return np.flatnonzero(self._variances()[:-1] >= SILENT**2).tolist()

    def _variances(self) -> NDArray[np.float64]:
        n = max(self.count, 1)
        variances: NDArray[np.float64] = self._squares / n - np.square(self._sum / n)
        return variances.clip(min=0.0)

    def silence(self, channel: int | None) -> str | None:
        """What a channel (None: the mean) is if there is no sound in it; None if there is."""
        k = self.channels if channel is None else channel
        if self._variances()[k] >= SILENT**2:
            return None
        level = self._sum[k] / max(self.count, 1)
        level += self._first.mean() if channel is None else self._first[k]
        return (
            "digital silence" if abs(level) < SILENT else f"constant ({level:.3g}), without sound"
        )

    @property
    def cancels(self) -> bool:
        """Whether the channels cancel each other in their mean."""
        *energies, mean = self._variances()
        average = sum(energies) / self.channels
        return (
            self.count >= ENOUGH
            and average >= SILENT**2
            and bool(mean < CANCELLED * average / self.channels)
        )

    @property
    def unrelated(self) -> bool:
        """Whether at least two channels are loud, and have nothing in common."""
        *energies, mean = self._variances()
        loud = sorted(energies)[-2:]
        if self.count < ENOUGH or len(loud) < 2 or loud[0] < max(LOUD * loud[1], SILENT**2):
            return False
        # Sums over all pairs: of their covariances, and of what these are at most.
        together = self.channels**2 * mean - sum(energies)
        most = float(np.sqrt(energies).sum() ** 2) - sum(energies)
        return bool(abs(together) < UNRELATED * most)
