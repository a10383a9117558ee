"""Batched state-vector simulation on torch."""
