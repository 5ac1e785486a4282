"""What the DAG `score` does: a version predicts what has landed for it, and versions are held to labels that came late."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, chdir
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tasks import params as parameters
from tasks.errors import ContractBroken, NoData
from tasks.files import read_json
from tasks.index import Batch, read_index
from tasks.ingest.erased import ERASED, read_erased
from tasks.ingest.landing import Landed, Landing, look, stamp
from tasks.params import Params
from tasks.paths import BUNDLE, MANIFEST, PROFILES, REPORTS
from tasks.promote import registry
from tasks.run import intact, reference
from tasks.run.git import git, resolve
from tasks.run.held import SAME, hold
from tasks.run.landed import score_landing_of
from tasks.run.settings import Settings
from tasks.run.workspace import workspace
from tasks.score.shelf import Shelf

ROOT = Path(__file__).resolve().parents[2]  # the deployed checkout
STATE = ("data/1_raw.json", "data/1_raw.dvc", "data/erased.json")
EVALUATED = REPORTS / "evaluate"


def score(s: Settings, run: str, version: str = "", root: Path = ROOT) -> dict[str, Any]:
    """Predict the batches that a version has not predicted yet; then hold all versions to the labels that are known by now.

    Twice is once: what is predicted is known by the batch's content and the version, and a run that is tried again tells what
    its first try came to.

    Args:
        s: where central, remote and landing are.
        run: the id of the run that asks.
        version: who predicts; empty: the champion.
        root: the checkout whose params.yaml names the zone.

    Returns:
        `version`, `place` (of the predictions), `batches` (facts of those that this run predicted, but for the reasons, which
        may name samples: Airflow keeps this), `problems` (batches that were refused, why),
        `waiting` (those that are not complete yet), `live` (see `held.hold`; None without labels), `fell` (why the version
        is known to be fallen since now, else ""), `retrain` (whether a fall starts a shadow run); or `nothing`: why there is
        nothing to do.

    Raises:
        NoData: the zone does not answer, or the version's bundle is not in the DVC remote.
        UnknownName: no such version.
    """
    params = parameters.load(root / "params.yaml")
    zone = score_landing_of(s, params)
    name, commit = _who(s.central, version)
    if not name:
        return {"nothing": "there is no champion yet: a night has to promote one first"}
    landing = look(zone) if zone else Landing((), ())
    with ExitStack() as around:
        folder = around.enter_context(workspace(s, commit, "score"))
        around.enter_context(chdir(folder))
        shelf = Shelf(around.enter_context(_repo()))
        known = shelf.facts(name)
        new = [landed for landed in landing.batches if not _is_known(landed, known)]
        if not new and not shelf.versions():
            return {"nothing": f"no batch has landed in {zone}" if zone else "score.landing of params.yaml names no zone"}
        compared = _Workspace(name, folder, params)
        model = compared.model() if new else None
        batches = compared.landed()
        problems = _predict(model, new, batches, shelf, known, run) if model else []
        live = hold(shelf, name, batches, params, run)
    ours = {key: facts for key, facts in known.items() if facts.get("run") == run and SAME not in facts}
    predicted = [
        {name: fact for name, fact in facts.items() if name != "reasons"} | {"key": key} for key, facts in ours.items()
    ]
    told = {"version": name, "place": shelf.place, "batches": predicted, "problems": problems, "waiting": list(landing.waiting)}
    fell = live["fallen"] if live and live.get("fell_in") == run else ""
    return {**told, "live": live, "fell": fell, "retrain": params.score.retrain}


def _repo() -> Any:
    from dvc.repo import Repo

    return Repo()


def _is_known(landed: Landed, known: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether nothing about a batch has changed since it was predicted; opens none of its files."""
    stamps = [facts["stamp"] for facts in known.values() if facts["batch"] == landed.name]
    return bool(stamps) and stamp(landed) in stamps


def _who(central: str, version: str) -> tuple[str, str]:
    """Name and commit of a version, or of the champion; empty when there is none."""
    if version:
        return version.removeprefix(f"{registry.MODEL}@"), registry.find(central, version).commit
    reign = registry.champion(central)
    return (reign.version, reign.commit) if reign else ("", "")


@dataclass(frozen=True)
class _Ready:
    """A version that is ready to predict, and what was measured of it when it was made."""

    model: Any
    promised: dict[str, Any]  # `target`, `metric` and `promised`: the interval on the test set
    params: Params
    scratch: Path


@dataclass(frozen=True)
class _Workspace:
    """A workspace of a version's commit, which is the working directory."""

    version: str
    folder: Path
    params: Params

    def model(self) -> _Ready:
        """Bring the version and what batches are compared with. To be asked for before `landed`, which replaces the index."""
        from tasks.bundle import Bundle
        from tasks.score.model import Model, contract
        from tasks.score.reference import read_reference
        from tasks.train.card import described

        compared, promised = None, {"target": "", "metric": "", "promised": {}}
        with _repo() as repo:
            intact.bring(repo, [str(BUNDLE)])
            bundle = Bundle.load(BUNDLE)
            try:
                wanted = [MANIFEST, EVALUATED, *(PROFILES / m for m in bundle.modalities)]
                intact.bring(repo, [str(path) for path in wanted])
                compared, promised = read_reference(bundle), _promised(read_json(EVALUATED / "scores.json"))
            except NoData as lost:
                print(f"nothing to compare batches with, so no drift is told: {lost}", flush=True)
        about = {"targets": described(bundle.targets), "version": self.version}
        asked = contract(read_json(BUNDLE / "bundle.json")["modalities"], self.params.ingest)
        model = Model(self.version, bundle, asked, compared, self.params.score.drift, about)
        return _Ready(model, promised, self.params, self.folder / ".git")  # a place that neither git nor DVC looks at

    def landed(self) -> list[Batch]:
        """What has landed to train on by now, its tables of samples and events in the workspace."""
        nightly = resolve(self.folder, "nightly")
        there = git("ls-tree", "-r", "--name-only", str(nightly), cwd=self.folder).splitlines() if nightly else []
        if state := [path for path in STATE if path in there]:
            git("checkout", "--quiet", str(nightly), "--", *state, cwd=self.folder)
        try:
            batches = read_index()
        except NoData:
            return []
        reference.bring(batches)
        return batches


def _predict(
    ready: _Ready, new: list[Landed], batches: list[Batch], shelf: Shelf, known: dict[str, dict[str, Any]], run: str
) -> list[str]:
    """Predict batches, which are `known` then; return why some were refused: the others go on."""
    from tasks.score.batch import score_batch
    from tasks.score.model import Gone
    from tasks.steady import steady

    gone = Gone(read_erased(ERASED), _withdrawn(batches))
    problems: list[str] = []
    with steady(ready.params.threads), tempfile.TemporaryDirectory(dir=ready.scratch) as scratch:
        tables = Path(scratch, "answers.parquet"), Path(scratch, "left_out.parquet")
        for landed in new:
            try:
                seen = stamp(landed)
                if landed.of_events:
                    raise ContractBroken("events land where batches to train on do (ingest.landing): they hold here too")
                key, facts = score_batch(landed, ready.model, gone, *tables)
            except ContractBroken as broken:
                problems.append(f"batch {landed.name}: {broken}")
                print(f"refused: {problems[-1]}", flush=True)
                continue
            facts |= {**ready.promised, "stamp": seen, "at": datetime.now(UTC).isoformat(timespec="seconds"), "run": run}
            _keep(shelf, key, facts, known, tables)
    return problems


def _keep(shelf: Shelf, key: str, facts: dict[str, Any], known: dict[str, dict[str, Any]], tables: tuple[Path, Path]) -> None:
    """Place what a batch came to; one with another's content only leaves a note of that."""
    twin = next((k for k, b in known.items() if b["digest"] == facts["digest"] and b["batch"] != facts["batch"]), None)
    if twin:
        print(f"{facts['batch']} holds what {known[twin]['batch']} holds: remove it", flush=True)
        shelf.note(facts["version"], key, {**facts, SAME: twin})
        return
    shelf.put(facts["version"], key, *tables, facts)
    known[key] = facts
    for line in lines(facts):
        print(line, flush=True)


def _promised(scores: Mapping[str, Any]) -> dict[str, Any]:
    interval = scores["candidates"][scores["selected"]][scores["metric"]]
    return {"target": scores["target"], "metric": scores["metric"], "promised": interval}


def _withdrawn(batches: list[Batch]) -> frozenset[str]:
    from tasks.raw import WITHDRAWN, read_events

    events = read_events(batches).to_pylist()
    return frozenset(event["sample_id"] for event in events if event["event"] == WITHDRAWN and not event["refused"])


def lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """What became of a batch, for people."""
    yield f"{facts['batch']}: {facts['scored']} of {facts['rows']} rows predicted by {facts['version']}"
    for reason, count in facts["reasons"]:
        yield f"  left out, {count}: {reason}"
    for one in facts["drift"] or ():
        if one["drifted"]:
            yield f"  drift: {one['column']} {one['distance']:.2f} from the training data, chance reaches {one['chance']:.2f}"
