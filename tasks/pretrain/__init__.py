"""Fit the encoders, once, on the reference's training rows: `python -m tasks.pretrain image`."""
