"""One pool per isolation mechanism that works here, shared by all tests of this folder."""

import contextlib

import pytest
from pools import BY_MECHANISM, HERE, open_pool, wait


@pytest.fixture(scope="session")
def pools():
    """Mechanism -> pool, started when first asked for."""
    with contextlib.ExitStack() as stack:

        class Pools(dict):
            def __missing__(self, mechanism):
                self[mechanism] = stack.enter_context(open_pool(mechanism, spare_sessions=1))
                return self[mechanism]

        yield Pools()


@pytest.fixture(params=BY_MECHANISM)
def pool(request, pools):
    return pools[request.param]


@pytest.fixture
def session(pools):
    """A session behind the strongest walls, for what is the same behind all of them."""

    async def close():
        held.close()

    held = wait(pools[HERE[0]].session())
    yield held
    wait(close())
