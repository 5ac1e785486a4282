"""What the page shows, from what the stages wrote: plain values, no markup."""

import base64
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SHOWN = 200  # rows of quarantine on the page; the file has all
LABELS = 10  # samples on the page that are worth a label
SLICES = 12  # parts of the test set on the page
WRONG = 8  # wrong answers on the page
ALONE = "alone-"
SHOWS = {  # what the pictures of `evaluate` show, for those who do not see them
    "scores": "the score of every candidate with its interval, best on top",
    "reliability": "how often answers of the selected model are right against how sure they are",
    "shares": "what each modality adds to the score, from none of them to all of them",
    "clusters": "test samples where the selected model sees them, by cluster, wrong answers marked",
    "confusion": "confusion matrix of the selected model on the test set: true classes against predicted ones",
    "labels": "F1 of each label on the test set",
    "predicted": "predicted against true values of the test set",
    "deletion": "what answers lose as parts of the input are hidden, the weightiest first, by chance, and last",
}
MARKS = {"pass": "✓", "fail": "✗", "not applicable": "·"}


def head(outcome: str, verdict: Mapping[str, Any] | None, validation: Mapping[str, Any] | None) -> dict[str, str]:
    """The page's first words: `word`, `tone` (good, bad, quiet) and `why`."""
    if verdict is not None and outcome == "judged":
        row = next((row for row in verdict["rows"] if row["name"] == verdict["decided_by"]), None)
        why = f"{verdict['decided_by']}: {row['reason']}" if row else str(verdict["decided_by"])
        good = verdict["verdict"] == "promote"
        asked = f". A person must approve: {verdict['approval']}" if verdict.get("approval") else ""
        return {"word": verdict["verdict"], "tone": "good" if good else "quiet", "why": f"Decided by {why}{asked}"}
    if verdict is not None and outcome != "failed":
        return {"word": outcome, "tone": "quiet", "why": "Another run was faster; the verdict below was not used."}
    failed = [e for e in (validation or {}).get("expectations", ()) if e["severity"] == "critical" and not e["success"]]
    why = f"{len(failed)} critical expectation(s) failed; nothing was trained." if failed else "No verdict was reached."
    return {"word": outcome, "tone": "bad", "why": why}


def tables(scores: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """A table of candidates per target, that of the gate first; of another one only where it could be scored."""
    if scores is None:
        return []
    others = scores.get("others", {})
    named = [{"target": name, "selected": scores["selected"], **others[name]} for name in sorted(others)]
    return [candidates(scores), *(candidates(body) for body in named if body["candidates"])]


def candidates(scores: Mapping[str, Any]) -> dict[str, Any]:
    """The selected candidate, each modality alone, then the others, best first, with intervals as shares of one scale."""
    metric, selected = scores["metric"], scores["selected"]
    found, cases = scores["candidates"], scores.get("complete", {})
    names = sorted(found, key=lambda n: (n != selected, not n.startswith(ALONE), -(found[n][metric]["value"] or 0), n))
    low, high = scale([found[name][metric] for name in names])
    return {
        "metric": metric.replace("_", " "),
        "target": scores["target"],
        "samples": scores.get("samples"),
        "complete_samples": cases.get("samples"),
        "gain": cases.get("gain_over_best_single"),
        "low": low,
        "high": high,
        "rows": [
            {
                "name": name,
                "selected": name == selected,
                "alone": name.startswith(ALONE),
                "all": found[name][metric],
                "complete": cases.get("candidates", {}).get(name, {}).get(metric),
                "bar": {key: place(value, low, high) for key, value in found[name][metric].items()},
                "parameters": found[name].get("parameters"),
            }
            for name in names
        ],
    }


def shares(scores: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What each modality adds to the score, the largest share first, as parts of the largest one."""
    if scores is None or not scores.get("shares"):
        return None
    found = scores["shares"]
    rows = sorted(found["modalities"].items(), key=lambda row: (-row[1]["share"]["value"], row[0]))
    widest = max(abs(row["share"]["value"]) for _, row in rows) or 1.0
    listed = [{"name": name, "part": round(100 * max(row["share"]["value"], 0) / widest, 1), **row} for name, row in rows]
    return {**found, "metric": scores["metric"].replace("_", " "), "rows": listed}


def slices(scores: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Where the selected model does worst: the first SLICES parts of the test set, and how many more there are."""
    found = (scores or {}).get("slices")
    if not found:
        return None
    return {"metric": str((scores or {})["metric"]).replace("_", " "), "rows": found[:SLICES], "more": len(found[SLICES:])}


def clusters(scores: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Which test samples the selected model treats alike, the worst cluster first; None where none were found."""
    found = (scores or {}).get("clusters")
    return found and {**found, "metric": found["metric"].replace("_", " ")}


def missing(scores: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Where gaps are filled: per fusion and modality in how many test samples, and what is lost without it; what maps find.

    The maps are those of the night, the same in every fusion.
    """
    found = (scores or {}).get("missing")
    if not found:
        return None
    rows = [
        {"name": name, "modality": m, "filled": number, **of["without"].get(m, dict.fromkeys(("masked", "mapped", "gained")))}
        for name, of in sorted(found.items())
        for m, number in sorted(of["filled"].items())
    ]
    return {"rows": rows, "recall": found[min(found)]["recall"]["test"]}


def damage(robustness: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What is left of the score under damage, a row per modality and corruption, the worst borne of each modality first."""
    if not robustness or not robustness["modalities"]:
        return None
    listed, place = [], robustness["levels"].index(robustness["moderate"]) - 1
    for m, of in sorted(robustness["modalities"].items()):
        told = ({**body, "name": name, "lost": body["lost"][place]} for name, body in sorted(of["corruptions"].items()))
        listed += sorted(({"modality": m, "gone": of["gone"], **row} for row in told), key=lambda row: row["relative"]["value"])
    effective = any(row["effective"] for row in listed)  # none where late fusion itself was selected
    worse = any(row["over_gone"]["high"] < 0 for row in listed)
    return {
        **robustness,
        "metric": robustness["metric"].replace("_", " "),
        "rows": listed,
        "effective": effective,
        "worse": worse,
    }


def scale(intervals: Sequence[Mapping[str, float | None]]) -> tuple[float, float]:
    """The ends of an axis that holds all intervals: of shares at steps of 0.1 and within 0 … 1, else at round numbers."""
    values = [v for i in intervals for v in i.values() if v is not None]
    if not values:
        return 0.0, 1.0
    if min(values) < 0 or max(values) > 1:
        step = 10.0 ** math.floor(math.log10(max(max(values) - min(values), 1e-9)))
        low = math.floor(min(values) / step) * step
        return round(low, 12), round(max(math.ceil(max(values) / step) * step, low + step), 12)
    low = min(max(math.floor(min(values) * 10), 0), 9) / 10
    return low, max(min(math.ceil(max(values) * 10), 10) / 10, round(low + 0.1, 1))


def place(value: float | None, low: float, high: float) -> float | None:
    """Where a value lies on the axis, in percent."""
    return None if value is None else round(100 * (value - low) / (high - low), 2)


def rows(verdict: Mapping[str, Any] | None, measured: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The gate's rows, the deciding one marked, then what was measured on the machine."""
    found = list(verdict["rows"] if verdict else ())
    if measured:
        from tasks.measure import rows as measured_rows  # it reads raw data, and so imports much

        found += measured_rows(measured)
    decided_by = verdict["decided_by"] if verdict else None
    return [{**row, "mark": MARKS.get(row["verdict"], ""), "decides": row["name"] == decided_by} for row in found]


def data(manifest: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Counts of samples by split and by batch, the newest batch first."""
    if manifest is None:
        return None
    splits = {name or "unlabelled": number for name, number in manifest["splits"].items()}
    new = set(manifest.get("new") or ())
    batches = [{**batch, "new": batch["key"] in new} for batch in reversed(manifest["batches"])]
    return {"samples": manifest["samples"], "quarantined": manifest["quarantined"], "splits": splits, "batches": batches}


def quarantined(path: Path | None) -> dict[str, Any] | None:
    """Quarantined rows: how many for which reason, and the first SHOWN of them."""
    if path is None or not path.is_file():
        return None
    import pyarrow.parquet as pq

    listed = pq.read_table(path).to_pylist()
    reasons = Counter((row["modality"], row["reason"]) for row in listed)
    return {
        "total": len(listed),
        "reasons": reasons.most_common(20),
        "rows": listed[:SHOWN],
        "left_out": max(len(listed) - SHOWN, 0),
    }


def label_next(path: Path | None) -> list[dict[str, Any]]:
    """The first LABELS of the samples that are most worth a label."""
    if path is None or not path.is_file():
        return []
    import pyarrow.parquet as pq

    found: list[dict[str, Any]] = pq.read_table(path).slice(0, LABELS).to_pylist()
    return found


def explained(folder: Path | None) -> dict[str, Any] | None:
    """Answers with the picture of each, and by modality whether such pictures can be believed."""
    if folder is None or not (folder / "explain.json").is_file():
        return None
    import pyarrow.parquet as pq

    from tasks.files import read_json

    rows = pq.read_table(folder / "examples.parquet").to_pylist()
    if not rows:
        return None
    return {**read_json(folder / "explain.json"), "rows": [{**row, "source": _data(row["picture"])} for row in rows]}


def neighbours(path: Path | None) -> list[dict[str, Any]]:
    """The first WRONG of the wrong answers, each with the train samples `near` it."""
    if path is None or not path.is_file():
        return []
    import pyarrow.parquet as pq

    found: dict[str, dict[str, Any]] = {}
    for row in pq.read_table(path).to_pylist():
        found.setdefault(row["sample_id"], {**row, "near": []})["near"].append(row)
    return list(found.values())[:WRONG]


def expectations(validation: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Failed expectations, critical ones first, and how many held."""
    if validation is None:
        return None
    order = {"critical": 0, "warning": 1, "info": 2}
    failed = [e for e in validation["expectations"] if not e["success"]]
    failed.sort(key=lambda e: (order.get(e["severity"], 3), e["table"], e["name"]))
    critical = any(e["severity"] == "critical" for e in failed)
    return {"failed": failed, "critical": critical, "held": len(validation["expectations"]) - len(failed)}


def picture(path: Path) -> dict[str, str]:
    """A PNG as part of the page: its name, what it shows in words, its content."""
    target, _, drawn = path.stem.rpartition("-")  # <target>-confusion.png of a target that decides nothing
    shows = SHOWS.get(drawn, path.stem.replace("_", " "))
    return {
        "shows": f"{target}: {shows}" if target and drawn in SHOWS else shows,
        "name": path.stem.replace("_", " "),
        "source": _data(path.read_bytes()),
    }


def _data(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
