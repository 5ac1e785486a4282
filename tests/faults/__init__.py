"""Faults that a run must survive; README.md says which test proves which."""
