"""One file per revision, oldest first: `r<revision>_<what>.py`."""
