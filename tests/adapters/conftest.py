"""A real TransferQueue for the tests that ask for it."""

import pytest
import shared_ray


@pytest.fixture(scope="module")
def transfer_queue():
    shared_ray.start()
