"""Judging a model fairly: scores, intervals, classical baselines on the same features, paired significance."""
