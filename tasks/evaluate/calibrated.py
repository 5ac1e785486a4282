"""How far the selected candidate's probabilities are from what comes true, before and after its temperature."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.calibration import Confidence
from tasks.evaluate.scores import Judged, Sureness


def calibrated(
    judged: Judged, selected: str, before: npt.NDArray[np.float64], choice: Mapping[str, Any], target: str, sure: Sureness
) -> dict[str, Any] | None:
    """What a reliability diagram shows, and its summary; None of values, which have no probabilities.

    Args:
        judged: labelled test samples, answers at each candidate's temperature.
        selected: whose.
        before: float64 [n, classes], its answers to the same samples without a temperature.
        choice: select.json.
        target: whose answers these are.
        sure: how intervals are made.

    Returns:
        `temperature` and on how many `samples` and `groups` it was fitted; `error`: the expected calibration error; `off`: the
        same without what chance adds; `before`: `error` without the temperature; `bins`: see `Confidence.curve`.
    """
    if judged.output.is_number:
        return None
    told = Confidence.of(judged.truth, judged.answers[selected], judged.groups, judged.output)
    raw = Confidence.of(judged.truth, before, judged.groups, judged.output)
    return {
        "temperature": choice["candidates"][selected]["temperature"][target],
        "fitted_on": choice["calibrated_on"],
        "error": told.error,
        "off": told.off.value,
        "before": {
            "error": raw.error,
            "off": raw.off.value,
            "bins": raw.curve(sure.generator("calibration"), sure.draws, sure.tail),
        },
        "bins": told.curve(sure.generator("calibration"), sure.draws, sure.tail),
    }
