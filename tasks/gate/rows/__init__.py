"""The rows of a verdict, a file each: `judge(evidence) -> Row`. Their order is the verdict's."""

from collections.abc import Callable

from tasks.gate.evidence import Evidence
from tasks.gate.row import Row
from tasks.gate.rows import (
    anchor,
    calibration,
    champion,
    decay,
    dominance,
    drift,
    floor,
    floor_over_prior,
    floor_over_single,
    guard,
    homogenisation,
    interaction,
    leak,
    missing,
    noisy,
    samples,
    slices,
    whole,
)

ROWS: dict[str, Callable[[Evidence], Row]] = {
    "whole": whole.judge,
    "leak": leak.judge,
    "floor": floor.judge,
    "floor_over_prior": floor_over_prior.judge,
    "floor_over_single": floor_over_single.judge,
    "champion": champion.judge,
    "guard": guard.judge,
    "anchor": anchor.judge,
    "slices": slices.judge,
    "calibration": calibration.judge,
    "decay": decay.judge,
    "drift": drift.judge,
    "dominance": dominance.judge,
    "homogenisation": homogenisation.judge,
    "interaction": interaction.judge,
    "missing": missing.judge,
    "noisy": noisy.judge,
    "samples": samples.judge,
}
