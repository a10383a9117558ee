from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateway.upstream.played import Played, PlayedUpstream


@pytest.fixture
def upstream() -> Iterator[Played]:
    """A service like IonQ's, empty."""
    with PlayedUpstream() as played:
        yield played
