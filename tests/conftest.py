"""Which tests start processes, stores and repositories of their own, or fit or simulate for seconds: marked `processes`."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent
PROCESSES = (
    "central",
    "dags",
    "embedded/test_executor.py",
    "embedded/test_group.py",
    "erase",
    "extract/test_brought.py",
    "faults",
    "finetune",
    "gate/test_error_rates.py",
    "gate/test_years.py",
    "gc",
    "nights",
    "profile/test_fuzz.py",
    "promote",
    "ranks",
    "recipes/test_digits.py",
    "report/test_page.py",
    "reproduce",
    "run",
    "score/test_export.py",
    "score/test_serve.py",
    "score/test_shelf.py",
    "test_checkpoint.py",
    "test_docs.py",
    "test_parallel.py",
    "test_precision.py",
    "test_stages.py",
    "test_zero_shot.py",
    "ui",
    "vary/test_vary.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.parent.name == "recipes")  # last: they fill up what the longer files leave
    for item in items:
        if item.path.relative_to(ROOT).as_posix().startswith(PROCESSES):
            item.add_marker(pytest.mark.processes)
