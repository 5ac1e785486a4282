"""Great Expectations in one place: a table and its checks in, rows that a person can read out.

GX's own results are kept too, without the times and names that change from run to run, so that Data Docs can be rendered
from them later (see docs.py).
"""

import json
import warnings
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd

from tasks.errors import ContractBroken

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # GX imports modules that Python has deprecated
    import great_expectations as gx
    from great_expectations import expectations as gxe

__all__ = ["Check", "Judge", "Table", "gx", "gxe"]
SHOWN = 5


@dataclass(frozen=True)
class Check:
    """One expectation.

    Attributes:
        name: in plain words.
        severity: critical stops the night; warning and info are told.
        expectation: GX's class, e.g. `gxe.ExpectColumnValuesToBeUnique`.
        arguments: of that class.
        expected: in plain words.
        advice: what to do when it fails.
    """

    name: str
    severity: Literal["critical", "warning", "info"]
    expectation: Any
    arguments: dict[str, Any]
    expected: str
    advice: str = ""


@dataclass(frozen=True)
class Table:
    """A table and what is expected of it.

    Attributes:
        name: of the suite and of the files in gx/.
        rows: the table.
        checks: at least one.
        index: columns that name a failing row; leave empty for large tables.
    """

    name: str
    rows: pd.DataFrame
    checks: list[Check]
    index: tuple[str, ...] = field(default=())


class Judge:
    """Runs checks in a context that lives in memory, shows no progress bars and tells nobody."""

    def __init__(self) -> None:
        """Make the context."""
        self._context = gx.get_context(mode="ephemeral")
        self._context.enable_analytics(False)
        self._context.variables.progress_bars = {"globally": False, "metric_calculations": False}
        self._tables = self._context.data_sources.add_pandas("nightloom")

    def judge(self, table: Table) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Run a table's checks.

        Returns:
            The entries of validation.json, in the order of the checks; and GX's result, fit for canonical JSON.

        Raises:
            ContractBroken: nothing to check, or GX could not compute an expectation: an answer that is missing is no yes.
        """
        if not table.checks:
            raise ContractBroken(f"nothing is expected of table {table.name!r}: an empty suite passes everything")
        expectations = [
            check.expectation(**check.arguments, severity=check.severity, meta={"check": check.name}) for check in table.checks
        ]
        whole = self._tables.add_dataframe_asset(table.name).add_batch_definition_whole_dataframe("all")
        suite = gx.ExpectationSuite(name=table.name, expectations=expectations)
        told: dict[str, Any] = {"result_format": "SUMMARY"}
        if table.index:
            told = {"result_format": "COMPLETE", "unexpected_index_column_names": list(table.index)}
        answer = whole.get_batch({"dataframe": table.rows}).validate(suite, result_format=told)
        result = _plain(answer.to_json_dict())
        by_name = {item["expectation_config"]["meta"]["check"]: item for item in result["results"]}
        result["results"] = [by_name[check.name] for check in table.checks]
        return [_entry(table, check, by_name[check.name]) for check in table.checks], result


def _plain(result: dict[str, Any]) -> dict[str, Any]:
    """Drop what changes from run to run; NaN becomes null."""
    text = json.dumps({**result, "meta": {"great_expectations_version": gx.__version__}, "id": None})
    plain: dict[str, Any] = json.loads(text, parse_constant=lambda _: None)
    return plain


def _entry(table: Table, check: Check, item: dict[str, Any]) -> dict[str, Any]:
    error = item["exception_info"]
    if error.get("raised_exception", True):
        raise ContractBroken(f"GX could not compute {check.name!r} on table {table.name!r}: {error.get('exception_message')}")
    failing = item["result"].get("unexpected_index_list") or []
    observed = _observed(item, failing, table.index)
    reason = "" if item["success"] else f"{check.name}: {observed}; expected {check.expected}. {check.advice}".strip()
    return {
        "name": check.name,
        "table": table.name,
        "severity": check.severity,
        "success": item["success"],
        "observed": observed,
        "expected": check.expected,
        "reason": reason,
        "batches": sorted({row["batch"] for row in failing if "batch" in row}),
    }


def _observed(item: dict[str, Any], failing: list[dict[str, Any]], index: tuple[str, ...]) -> str:
    result = item["result"]
    if "observed_value" in result:
        return _word(result["observed_value"])
    if failing:
        shown = [_row(row, index) for row in failing[:SHOWN]]
        return ", ".join(shown) + (f" and {len(failing) - SHOWN} more" if len(failing) > SHOWN else "")
    return f"{result.get('unexpected_count', 0)} of {result.get('element_count', 0)} rows differ"


def _row(row: dict[str, Any], index: tuple[str, ...]) -> str:
    values = ", ".join(f"{name} {_word(value)}" for name, value in row.items() if name not in index)
    return " ".join(str(row[name]) for name in index) + f" ({values})"


def _word(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
