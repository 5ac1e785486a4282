"""Fit the encoders, once, on the reference's training rows, to one of `objectives/`: `python -m tasks.pretrain image`."""
