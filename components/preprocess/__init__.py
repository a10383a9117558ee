"""The component of the stage preprocess."""

from components.preprocess.component import preprocess

__all__ = ["preprocess"]
