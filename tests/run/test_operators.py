"""What tasks hand to each other through Airflow's database."""

from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from tasks.run.operators import Docs, StageStep, fragments

LOCK = {
    "cmd": "python -m tasks.profile image",
    "deps": [{"path": "data/1_raw.json", "hash": "md5", "md5": "0b1e", "size": 7}],
    "params": {"params.yaml": {"modalities.image": {"kind": "image", "side_px": 32}, "threads": 1}},
    "outs": [{"path": "data/2_profiles/image", "hash": "md5", "md5": "1f2e.dir", "size": 9, "nfiles": 1}],
}


def jsonb(value: Any) -> Any:
    """What PostgreSQL's jsonb makes of a value: keys by length, then by their bytes."""
    if isinstance(value, dict):
        return {key: jsonb(value[key]) for key in sorted(value, key=lambda key: (len(key), key))}
    return [jsonb(item) for item in value] if isinstance(value, list) else value


class Database:
    """Airflow's XCom on PostgreSQL."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def xcom_pull(self, task_ids: str) -> Any:
        return self.values.get(task_ids)


def test_a_fragment_comes_out_of_the_database_in_the_order_in_which_it_went_in() -> None:
    step = StageStep(task_id="profile.image", stage="profile@image", upstream=[])
    database = Database()
    returned = step.read({"lock": LOCK, "ran": True}, {"decoded": 3}, {})
    database.values["profile.image"] = jsonb(returned)
    found = fragments({"ti": database}, ["profile@image", "profile@text"])
    assert list(found) == ["profile@image"]
    assert str(found["profile@image"]["lock"]) == str(LOCK)
    assert found["profile@image"]["work"] == {"decoded": 3}


def test_a_night_whose_validate_failed_has_nothing_to_show() -> None:
    step = Docs(task_id="docs", verb="docs", stages=["profile@text", "validate"])
    database = Database()
    fragment = StageStep(task_id="x", stage="x", upstream=[]).read({"lock": LOCK}, {}, {})
    database.values = {"open": {"commit": "c0ffee", "stages": []}, "profile.text": fragment}
    context = {"ti": database, "run_id": "night"}
    with pytest.raises(AirflowSkipException, match="validate did not end well"):
        step.request(context)
    database.values["validate"] = fragment
    assert set(step.request(context)["fragments"]) == {"profile@text", "validate"}
