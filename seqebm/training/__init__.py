"""Finding the parameters: the training loop, checkpoints and logs."""

from seqebm.training.loop import train

__all__ = ["train"]
