"""One drawn bundle for all tests here."""

from pathlib import Path

import pytest

from tasks.bundle import Bundle
from tests.score import small


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return small.bundle(Path(tmp_path_factory.mktemp("small")) / "bundle")
