"""Pipelines made of the components, their compiled form, and the program that runs one on this machine."""
