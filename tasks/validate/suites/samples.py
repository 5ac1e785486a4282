"""The accepted samples: the table that training reads."""

from tasks.splits import NONE, PARTS
from tasks.targets import HIGHEST
from tasks.validate.great import Check, Table, gxe
from tasks.validate.night import Night
from tasks.validate.verdicts import Sorted

READABLE = r"^\S(?:.*\S)?$"


def table(night: Night, rows: Sorted) -> Table:
    """The manifest's sample table itself."""
    checks = [
        Check(
            "accepted samples", "critical", gxe.ExpectTableRowCountToBeBetween, {"min_value": 1}, "at least 1", "land a batch"
        ),
        Check(
            "sample ids", "critical", gxe.ExpectColumnValuesToMatchRegex, {"column": "sample_id", "regex": READABLE}, "readable"
        ),
        Check("sample ids in use", "critical", gxe.ExpectColumnValuesToBeUnique, {"column": "sample_id"}, "one sample each"),
        Check(
            "groups", "critical", gxe.ExpectColumnValueLengthsToBeBetween, {"column": "group", "min_value": 1}, "never empty"
        ),
        Check("splits", "critical", gxe.ExpectColumnValuesToBeInSet, {"column": "split", "value_set": [*PARTS, NONE]}, "known"),
    ]
    for target, output in night.outputs.items():
        if output.is_set:  # a list of 0 and 1 by construction; no expectation takes lists
            continue
        between: tuple[float, float] = (0, max(output.width - 1, 0))
        expected = f"{output.width} classes"
        if output.is_number:
            between, expected = (-HIGHEST, HIGHEST), "finite"
        arguments = {"column": target, "min_value": between[0], "max_value": between[1]}
        checks.append(Check(f"labels of {target}", "critical", gxe.ExpectColumnValuesToBeBetween, arguments, expected))
    return Table("samples", rows.manifest, checks)
