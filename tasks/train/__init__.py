"""Candidates: networks that fuse modalities, each modality alone, late averaging and logistic (or ridge) regression.

All of them predict by `predict(features) -> {target: answer}`; `candidates.load_candidate` reads any of them from its folder.
"""
