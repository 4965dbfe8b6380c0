"""Architecture + inference + loss = model."""

from seqebm.models.config import Config, load_config
from seqebm.models.recognizer import Recognizer

__all__ = ["Config", "Recognizer", "load_config"]
