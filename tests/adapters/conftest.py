"""A real TransferQueue for the tests that ask for it."""

import pytest
import shared_ray


@pytest.fixture(scope="session")
def ended_at_last():
    yield
    shared_ray.end()


@pytest.fixture(scope="module")
def transfer_queue(ended_at_last):
    shared_ray.start()
