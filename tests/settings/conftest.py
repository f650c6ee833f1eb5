"""What tests of settings share."""

from pathlib import Path

import pytest

from tests.settings.machine import Machine
from tests.settings.programs import Shelf


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine where nothing is set up."""
    return Machine(tmp_path)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """A PATH on which there is no helper yet."""
    return Shelf(tmp_path / "bin")
