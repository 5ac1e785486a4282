"""Judge the night's data: `python -m tasks.validate` writes data/3_manifest/.

    samples.parquet     accepted samples, with their split and the numbers of their labels, or the values of numbers;
                        `unlabelled` are those that have none and may teach what needs none
    contents.parquet    of the same rows `content`, one word for the bytes of all dense modalities (see leaks.py), and
                        `near of <modality>`, a hash of 64 bits
    quarantine.parquet  rows and events that are left out, each with its reason: landed = accepted + quarantined + withdrawn
    manifest.json       targets with their classes, and counts
    drift.json          how far each measured column of each batch lies from the reference: `columns`, see drift.py
    validation.json     every expectation: what was observed, what was expected; `success` = no critical one failed
    gx/<table>.json     Great Expectations' own results, from which docs.py renders Data Docs

A failed critical expectation does not fail the stage: `admit` reads validation.json and stops the night there.
"""

from collections.abc import Mapping
from typing import Any

SEVERITIES = ("critical", "warning", "info")


def summary(validation: Mapping[str, Any]) -> list[str]:
    """The failed expectations of validation.json, worst first, a line each: `critical: share of rows quarantined: …`."""
    failed = [entry for entry in validation["expectations"] if not entry["success"]]
    failed.sort(key=lambda entry: SEVERITIES.index(entry["severity"]))
    return [f"{entry['severity']}: {entry['reason']}" for entry in failed]
