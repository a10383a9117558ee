"""Circuits as layers of a neural network."""
