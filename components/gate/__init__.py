"""The component that decides whether the model is deployed."""

from components.gate.component import gate

__all__ = ["gate"]
