"""Features of the test samples by a bundle's own encoders, computed anew only where tonight's encoder is another."""

import pyarrow as pa

from tasks.bundle import Bundle
from tasks.champion.reads import to_encode
from tasks.features import Features
from tasks.train.inputs import aligned, assembled
from tasks.train.raws import raw_rows


def features_for(bundle: Bundle, samples: pa.Table) -> tuple[dict[str, Features], int]:
    """Features of every modality of the bundle that the samples can have.

    Where the bundle's encoder is byte for byte tonight's, what `extract` computed is read; elsewhere the raw rows are
    decoded and encoded with the bundle's encoder. A modality that the night no longer has is missing in every sample.

    Returns:
        modality -> features, row by row; number of raw rows that were encoded anew.
    """
    features, encoded = {}, 0
    anew = to_encode(bundle.folder, samples)
    for modality in bundle.modalities:
        width = bundle.candidate.card.widths[modality]
        if f"has_{modality}" not in samples.column_names:
            features[modality] = assembled(samples.num_rows, 1, width, [])
        elif modality not in anew:
            features[modality] = aligned(modality, samples)
        else:
            parts = [(rows, bundle.encode(modality, items)) for _, rows, items in raw_rows(modality, samples)]
            steps = max((part.tokens.shape[1] for _, part in parts), default=1)
            features[modality] = assembled(samples.num_rows, steps, width, parts)
            encoded += sum(len(rows) for rows, _ in parts)
    return features, encoded
