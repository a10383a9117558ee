"""The component of the stage deploy."""

from components.deploy.component import deploy

__all__ = ["deploy"]
