"""The small project of tests/run, with real git and DVC."""

from tests.run.conftest import project as project
