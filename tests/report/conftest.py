"""A browser for the tests of pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.report.chromium import BINARY, Chromium


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    if BINARY is None:
        pytest.skip("needs the program chromium")
    running = Chromium(tmp_path_factory.mktemp("chromium"))
    yield running
    running.close()
