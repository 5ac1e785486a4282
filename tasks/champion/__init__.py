"""The reigning champion and the best-ever anchor, on the same samples as tonight's candidate."""
