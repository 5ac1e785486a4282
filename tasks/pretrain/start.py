"""Where an encoder's weights begin: at those of a registered version, if `pretrain.start` names one (data/start, a bundle).

What is taken are the network and the facts of its preparation, which its weights are about: means, a vocabulary. Heads are new.
Yosinski, Clune, Bengio, Lipson, "How transferable are features in deep neural networks?", NeurIPS 2014: weights that were
fitted to something near are a better beginning than random ones.
"""

from dataclasses import asdict
from pathlib import Path

from tasks.errors import ContractBroken, NoData
from tasks.extract import Card, Loaded, load_encoder
from tasks.params import Modality, Pretrain
from tasks.paths import START


def beginning(chosen: Modality, knobs: Pretrain, folder: Path = START) -> Loaded | None:
    """The encoder that a modality's begins from; None for random weights, also where the version has no such modality.

    Raises:
        NoData: a version is named, and its bundle is not here.
        ContractBroken: the version's encoder is of another kind, width or with other options.
    """
    if not knobs.start:
        return None
    if not (folder / "bundle.json").is_file():
        raise NoData(f"{folder} holds no bundle to start from (pretrain.start: {knobs.start}): `dvc pull {folder}`")
    place = folder / "encoders" / chosen.name
    if not place.is_dir():
        print(f"{chosen.name}: {knobs.start} has no such modality, so it starts from random weights", flush=True)
        return None
    found = load_encoder(place)
    if differing := _differing(found.card, chosen, knobs.width):
        raise ContractBroken(
            f"modality {chosen.name} cannot start from {knobs.start}: {'; '.join(differing)}. Let them be alike, or leave"
            " pretrain.start empty"
        )
    return found


def _differing(card: Card, chosen: Modality, width: int) -> list[str]:
    """What of the two encoders does not fit, in words."""
    wanted, got = asdict(chosen.options), {**card.options}
    lists = {key: list(value) if isinstance(value, tuple) else value for key, value in wanted.items()}
    pairs = {"kind": (card.kind, chosen.kind), "pretrain.width": (card.width, width)}
    if card.kind == chosen.kind:
        pairs |= {key: (got.get(key), lists.get(key)) for key in sorted({*got, *lists})}
    pairs |= {"encoder": ("one from elsewhere", "one of our own")} if card.source else {}
    return [f"{key} is {there} there and {here} here" for key, (there, here) in pairs.items() if there != here]
