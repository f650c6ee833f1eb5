"""One suite per Protocol, run on every implementation of it."""

import pytest

SUITES = ("content_store", "ingesting", "naming", "collection", "driver")
pytest.register_assert_rewrite(*(f"{__name__}.{suite}" for suite in SUITES))
