"""The component of the stage evaluate."""

from components.evaluate.component import evaluate

__all__ = ["evaluate"]
