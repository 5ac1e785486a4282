"""Scores with intervals on the test set."""
