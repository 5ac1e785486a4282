"""Which test samples are damaged: few, the same night after night, and out of few raw partitions."""

import pyarrow as pa

from tasks.features import read_sample_ids
from tasks.index import partitions, read_index
from tasks.params import keyed_seed
from tasks.paths import FEATURES
from tasks.tables import labelled, truth
from tasks.train.inputs import read_samples_of

PARTITIONS = 8  # at least, where there are so many: one alone may be of one site, or of one group

Key = tuple[str, str]  # a batch's key, a sample's id


def chosen_samples(modalities: list[str], target: str, count: int) -> pa.Table:
    """At most `count` test samples that are labelled in the target, sorted by sample_id.

    The partitions are put in an order by a hash of their names, the samples of each by one of their ids, and an equal share of
    each partition is taken until there are enough. So a new night changes the choice only where its partition comes before the
    last one that is used; and no more is read than a few partitions, however many there are.

    Args:
        modalities: sorted; a sample belongs to the partition that holds it as the first one of these that it has.
        target: that is judged.
        count: of samples.
    """
    samples = read_samples_of(["test"])
    samples = samples.filter(pa.array(labelled(truth(samples[target]))))
    keys = list(zip(samples["batch"].to_pylist(), samples["sample_id"].to_pylist(), strict=True))
    ranks = _ranks(_held(keys, modalities), -(-count // PARTITIONS))
    rows = sorted(range(len(keys)), key=lambda row: ranks[keys[row]])[:count]
    return samples.take(pa.array(sorted(rows), pa.int64()))


def _held(keys: list[Key], modalities: list[str]) -> dict[Key, str]:
    """The partition that each sample belongs to, by its name; its batch's for what has none of the modalities."""
    found: dict[Key, str] = {}
    wanted = set(keys)
    for modality in modalities:
        for batch, partition in partitions(read_index(), modality):
            for sample in read_sample_ids(FEATURES / modality / f"{partition.stem}.safetensors"):
                if (key := (batch.key, sample)) in wanted:
                    found.setdefault(key, partition.stem)
    return {key: found.get(key, key[0]) for key in keys}


def _ranks(held: dict[Key, str], share: int) -> dict[Key, tuple[int, int, int]]:
    """What samples are sorted by: the round in which their partition gives them, then its hash, then their own."""
    own = {key: keyed_seed(0, "robustness", *key) for key in held}
    ranks: dict[Key, tuple[int, int, int]] = {}
    given: dict[str, int] = {}
    for key in sorted(held, key=own.__getitem__):
        stem = held[key]
        ranks[key] = (given.get(stem, 0) // max(1, share), keyed_seed(0, "robustness", stem), own[key])
        given[stem] = given.get(stem, 0) + 1
    return ranks
