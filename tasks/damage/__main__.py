"""Damage one modality of the probe's samples by degrees, and encode what is left: `python -m tasks.damage image`."""

import argparse

from tasks import params as parameters
from tasks.damage import path_of
from tasks.damage.probe import read_probe
from tasks.damage.sweep import swept
from tasks.extract import load_encoder
from tasks.features import write_features
from tasks.files import new_folder
from tasks.paths import DAMAGED, ENCODERS
from tasks.stage import count, enter
from tasks.steady import steady


def damage(modality: str) -> None:
    """Write data/4_damaged/<modality>/.

    Raises:
        NoData: the probe, the encoder or a raw partition is absent.
        ContractBroken: a partition is not the one that was ingested, or the encoder cannot be loaded.
    """
    params = parameters.load(modality=modality)
    encoder, probe = load_encoder(ENCODERS / modality), read_probe()
    with steady(params.threads):
        ids, found = swept(encoder, modality, probe, params.robustness.levels, params.seed, params.device)
    with new_folder(DAMAGED / modality) as folder:
        for shown, features in found.items():
            write_features(folder / path_of(modality, shown).name, features, "", ids)
    count(encoded=len(ids) * len(found))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modality")
    enter(damage, parser.parse_args().modality)
