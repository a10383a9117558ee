"""The component of the stage train."""

from components.train.component import train

__all__ = ["train"]
