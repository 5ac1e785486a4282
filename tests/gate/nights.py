"""A night as the gate finds it: what the stages before wrote, of models whose shares of right answers are given."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from tasks.files import read_json, write_json
from tasks.gate.__main__ import gate
from tasks.params import load
from tasks.tables import write_parquet

CLASSES = ["cat", "dog"]


FIRST = {"champion": {"number": 0, "version": None, "batches": []}, "anchor": {"version": None, "batches": []}}


LATER = {
    "champion": {"number": 3, "version": "v1.1.0", "batches": ["n1", "n2"]},
    "anchor": {"version": "v1.0.0", "batches": ["n1"]},
}


PARAMS = """
modalities: {{image: {{kind: image}}}}
targets: {{label: {{type: classification}}}}
evaluate: {{bootstrap: 500}}
gate: {{{gate}}}
{more}
"""


def one_hot(labels):
    return np.eye(len(CLASSES))[np.asarray(labels)]


def table(ids, probabilities, **more):
    return pa.table({"sample_id": ids, **more, **{f"label__{i}": column for i, column in enumerate(probabilities.T)}})


def pair(one, other, cka, p=0.002):
    return {"pair": [one, other], "samples": 80, "cka": cka, "chance": 0.05, "p": p, "errors": 0.3, "errors_p": 0.004}


def interaction(alone=0.3, joint=0.4, late=0.0, objective="supervised", end_to_end=()):
    """What evaluate tells of leads over the prior and over late averaging, each with an interval of ± 0.05."""
    leads = {"over_late": late, "alone-image": alone, "mean": joint}
    leads = {name: {"value": lead, "low": lead - 0.05, "high": lead + 0.05} for name, lead in leads.items()}
    told = {"objective": objective, "end_to_end": list(end_to_end)}
    return {"joint": "mean", "over_late": leads.pop("over_late"), "over_prior": leads, **told}


def shares(**over_nothing):
    """What evaluate tells of each modality: what remains without it, over nothing, with an interval of ± 0.05."""
    of = {m: {"value": v, "low": v - 0.05, "high": v + 0.05} for m, v in over_nothing.items()}
    rows = {
        m: {"share": of[m], "lost": {"value": 0.4 - of[m]["value"], "low": 0.0, "high": 0.4}, "over_nothing": of[m]} for m in of
    }
    return {"nothing": 0.5, "whole": 0.9, "samples": 400, "modalities": rows}


def damaged(audio=0.1, image=0.2, half=0.05, **more):
    """What robustness tells: of each modality one corruption, over its absence by so much at level 0.5, with an interval."""
    over = {
        m: {"value": v, "low": v - half, "high": v + half} for m, v in {"audio": audio, "image": image}.items() if v is not None
    }
    area = {"value": 0.7, "low": 0.6, "high": 0.8}
    told = {
        m: {
            "gone": 0.6,
            "corruptions": {
                "noise": {
                    "scores": [0.9, 0.6 + over[m]["value"], 0.4],
                    "relative": {**area, "value": 0.7 + over[m]["value"] / 2},
                    "effective": area,
                    "over_gone": over[m],
                }
            },
        }
        for m in over
    }
    sizes = {"whole": 0.9, "moderate": 0.5, "levels": [0.0, 0.5, 1.0], "samples": 100, "groups": 50}
    return {"target": "label", "metric": "accuracy", "selected": "mean", **sizes, "modalities": told, **more}


class Night:
    """A test set of `n` samples, two to a group, with the share that candidate and reigning models get right."""

    def __init__(self, n=400, mine=0.9, champion=None, anchor=None, gate="margin: 0.02", registry=None):
        rng = np.random.default_rng(7)
        self.ids = [f"s{i:04d}" for i in range(n)]
        self.groups = [f"g{i // 2:04d}" for i in range(n)]
        self.batches = ["n1"] * n
        self.truth = rng.integers(0, 2, n)
        luck = rng.random(n)  # shared: the models agree on what is hard
        self.mine = one_hot(np.where(luck < mine, self.truth, 1 - self.truth))
        self.reigning = {
            who: one_hot(np.where(luck < share, self.truth, 1 - self.truth))
            for who, share in {"champion": champion, "anchor": anchor}.items()
            if share is not None
        }
        self.registry = registry or (LATER if champion is not None else FIRST)
        self.gate, self.gain = gate, {"value": 0.2, "low": 0.1, "high": 0.3, "single": "alone-image"}
        self.alike, self.interaction = [pair("audio", "image", 0.1)], interaction()
        self.shares, self.promotion = shares(audio=0.3, image=0.2), "auto"
        self.aside = 0  # samples that a temperature was fitted on
        self.columns, self.more, self.damaged, self.drift = {}, "", damaged(), []
        self.taught = {"sample_id": ["t0", "t1", "t2"], "group": ["h0", "h1", "h2"], "content": ["x", "y", ""]}
        self.rest = {}  # who -> modality -> what it answers without
        self.pinned = {}  # who -> files of the manifest that it was made of
        self.content, self.dense = [f"of {name}" for name in self.ids], {}

    def judge(self):
        reports = Path("data/6_reports")
        Path("params.yaml").write_text(PARAMS.format(gate=self.gate, more=self.more) + f"promotion: {self.promotion}\n")
        write_json(Path("data/1_raw.json"), {"batches": []})
        write_json(Path("data/registry.json"), self.registry)
        write_json(Path("data/5_models/bundle/bundle.json"), {})
        write_json(
            Path("data/3_manifest/manifest.json"), {"targets": {"label": {"type": "classification", "classes": CLASSES}}}
        )
        for who in ("champion", "anchor"):
            self.pin(who)
        write_json(Path("data/3_manifest/drift.json"), {"columns": self.drift})
        count = len(self.taught["sample_id"])
        rows = {"sample_id": [*self.ids, *self.taught["sample_id"]], "split": ["test"] * len(self.ids) + ["train"] * count}
        rows |= {"group": [*self.groups, *self.taught["group"]], "unlabelled": [False] * len(rows["split"])}
        contents = {"sample_id": rows["sample_id"], "content": [*self.content, *self.taught["content"]], **self.dense}
        write_parquet(Path("data/3_manifest/contents.parquet"), pa.table(contents))
        rows |= {"batch": [*self.batches, *(["n1"] * count)], **self.columns}
        write_parquet(
            Path("data/3_manifest/samples.parquet"), pa.table({**rows, "label": [*self.truth, *([1] * (count - 1)), 0]})
        )
        complete = {"samples": 300, "groups": 150, "gain_over_best_single": self.gain}
        metric = load().gate.metric
        scores = {"target": "label", "metric": metric, "selected": "mean", "samples": len(self.ids), "complete": complete}
        scores |= {"calibration": {"fitted_on": {"samples": self.aside, "groups": self.aside}}}
        scores |= {"alike": self.alike, "interaction": self.interaction, "shares": self.shares}
        write_json(reports / "evaluate/scores.json", scores)
        write_json(reports / "robustness/robustness.json", {"metric": metric, **self.damaged})
        predictions = table(self.ids, self.mine, group=self.groups, label=self.truth, **self.without("candidate"))
        write_parquet(reports / "evaluate/predictions.parquet", predictions)
        tables = [
            table(self.ids, found, who=[who] * len(found), **self.without("champion")) for who, found in self.reigning.items()
        ]
        empty = (tables or [table(self.ids[:1], self.mine[:1], who=["champion"])])[0].slice(0, 0)
        write_parquet(reports / "champion.parquet", pa.concat_tables([empty, *tables]))
        gate()
        verdict = read_json(reports / "verdict.json")
        return verdict, {row["name"]: row for row in verdict["rows"]}

    def without(self, who):
        of = {m: answer.T for m, answer in self.rest.get(who, {}).items()}
        return {f"label without {m}__{i}": column for m, answer in of.items() for i, column in enumerate(answer)}

    def pin(self, who):
        folder = Path(f"data/{who}_manifest")
        folder.mkdir(exist_ok=True)
        for name, columns in self.pinned.get(who, {}).items():
            write_parquet(folder / f"{name}.parquet", pa.table(columns))


class Later(Night):
    """A test set of which 1,600 samples, the batch n3, landed after the champion's promotion, and 400 before."""

    def __init__(self, mine, champion, newer=1600):
        """Take the shares that candidate and champion get right of older and of newer samples."""
        super().__init__(n=400 + newer, champion=0.0, anchor=0.0)
        self.batches = ["n1"] * 400 + ["n3"] * newer
        luck = np.random.default_rng(5).random(len(self.ids))
        self.mine = self.right(luck, *mine)
        self.reigning = {"champion": self.right(luck, *champion), "anchor": self.right(luck, *champion)}

    def right(self, luck, older, newer):
        share = np.where(np.array(self.batches) == "n3", newer, older)
        return one_hot(np.where(luck < share, self.truth, 1 - self.truth))
