"""The component of the stage plan."""

from components.plan.component import plan

__all__ = ["plan"]
