"""Blocking: no judged sample may have taught, neither tonight's candidate nor the models that it is compared with."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.gate.evidence import Evidence
from tasks.gate.row import Row, told
from tasks.near import NEAR, Hashes, twins

RULE = "no judged sample's id, group or content taught the candidate, the champion or the anchor; few nearly equal one that did"
SHOWN = 3
ADVICE = {
    "candidate": "validate should have kept them apart: look at data/3_manifest, and set `group`",
    "champion": "it looks better on them than it is: put seed and split back to what they were when it was fitted, or roll back"
    " to a version that was fitted under these, or let the candidate face it all the same (gate.rows: {leak: warning})",
}
NEARLY = "give samples of one source one `group`"
WAYS = ("sample_id", "group", "content")

Rows = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Shared:
    """What judged samples share with those that taught a model.

    Attributes:
        ways: `sample_id`, `group` and, where contents are known, `content` -> bool [n], which judged samples.
        near: bool [n], which nearly equal one of them; None: not known.
        unknown: why contents are not known, or "".
    """

    ways: dict[str, Rows]
    near: Rows | None
    unknown: str

    @property
    def any(self) -> Rows:
        """Samples that are the same in any way."""
        return np.asarray(np.logical_or.reduce(list(self.ways.values())))


def judge(evidence: Evidence) -> Row:
    """Look for the judged samples in the training part of each model's manifest."""
    said, failed = [], False
    for who, name in _models(evidence).items():
        if who not in evidence.taught:
            said.append(f"what taught {name} is not known: no manifest of its night is left")
            continue
        shared = compare(evidence.judged, evidence.taught[who], evidence.validate.near_duplicates)
        near = None if shared.near is None else shared.near & ~shared.any
        crowded = near is not None and near.mean() > evidence.validate.quarantine_share
        failed |= crowded or bool(shared.any.any())
        said.append(_said(evidence, name, shared, ADVICE["candidate" if who == "candidate" else "champion"]))
        if near is not None and near.any():
            text = f"{_counted(evidence, near)} nearly equal in every dense modality one that taught {name}"
            said.append(f"{text}, more than validate.quarantine_share allows: {NEARLY}" if crowded else text)
    return told("leak", True, RULE, "fail" if failed else "pass", "; ".join(said))


def _models(evidence: Evidence) -> dict[str, str]:
    """Those who are compared, by name; the anchor often is the champion."""
    champion, anchor = (evidence.versions[who] for who in ("champion", "anchor"))
    found = {"candidate": "the candidate"} | ({"champion": f"the champion {champion}"} if champion else {})
    return found | ({"anchor": f"the anchor {anchor}"} if anchor and anchor != champion else {})


def compare(judged: pa.Table, taught: pa.Table, near: bool) -> Shared:
    """What rows of tonight's manifest share with rows of this or another one.

    Args:
        judged: n rows.
        taught: rows of the same columns; those of contents may be absent.
        near: whether nearly equal ones are looked for.
    """
    dense = [{name for name in table.column_names if name.startswith(NEAR.format(""))} for table in (judged, taught)]
    unknown = ""
    if "content" not in taught.column_names:
        unknown = "its night kept no contents"
    elif dense[0] != dense[1]:
        unknown = "it was fitted on other modalities"
    ways = {way: _among(judged[way], taught[way]) for way in (WAYS[:2] if unknown else WAYS)}
    if unknown or not near or not dense[0]:
        return Shared(ways, None, unknown)
    names = sorted(name.removeprefix(NEAR.format("")) for name in dense[0])
    mine, theirs = ({name: _hashes(table, name) for name in names} for table in (judged, taught))
    return Shared(ways, twins(mine, theirs) >= 0, unknown)


def _among(words: pa.ChunkedArray, known: pa.ChunkedArray) -> Rows:
    found = pc.and_(pc.is_in(words, known.combine_chunks()), pc.not_equal(words, ""))  # "": no dense modality
    return np.asarray(found.to_numpy(zero_copy_only=False), np.bool_)


def _hashes(table: pa.Table, name: str) -> Hashes:
    column = table[NEAR.format(name)]
    bits = column.fill_null(0).to_numpy().astype(np.int64).view(np.uint64)
    known = column.is_valid().to_numpy(zero_copy_only=False)
    return Hashes(bits, known, table[f"has_{name}"].to_numpy(zero_copy_only=False))


def _said(evidence: Evidence, name: str, shared: Shared, advice: str) -> str:
    """What is the same in judged samples and in those that taught a model."""
    found = [f"{_counted(evidence, rows)} taught {name} too, by {way}" for way, rows in shared.ways.items() if rows.any()]
    if found:
        return f"{'; '.join(found)}: {advice}"
    what = f"id or group ({shared.unknown})" if shared.unknown else "id, group or content"
    return f"no {what} of {evidence.size} taught {name}"


def _counted(evidence: Evidence, rows: Rows) -> str:
    names = [evidence.ids[row] for row in np.flatnonzero(rows)[:SHOWN]]
    return f"{int(rows.sum())} judged samples ({', '.join(names)}{' …' if rows.sum() > SHOWN else ''})"
