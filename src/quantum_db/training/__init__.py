"""Training: configuration, the trainer, and what watches over it."""
