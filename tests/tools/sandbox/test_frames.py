"""The socket's format: what is packed is read back, and nothing else is."""

import asyncio
import json
import struct
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pools import SMALL

from verl_hdpo.tools.sandbox import frames
from verl_hdpo.tools.sandbox.frames import FrameError, Pixels
from verl_hdpo.tools.sandbox.session import Result, Session

KEYS = st.text(max_size=8).filter(lambda key: key != "blobs")
HEADERS = st.dictionaries(KEYS, st.none() | st.integers() | st.text(max_size=20) | st.lists(st.booleans()), max_size=5)


@given(HEADERS, st.lists(st.binary(max_size=50), max_size=5))
def test_a_frame_is_read_back(header, blobs):
    packed = frames.pack(header, blobs)
    length = frames.header_length(packed[:4])
    found, sizes = frames.read_header(packed[4 : 4 + length], sum(map(len, blobs)))
    rest, read = packed[4 + length :], []
    for size in sizes:
        read.append(rest[:size])
        rest = rest[size:]
    assert (found, read, rest) == (header, blobs, b"")


@given(st.binary(max_size=200))
def test_noise_is_refused_or_read(data):
    """Nothing but FrameError comes out of it, whatever the bytes."""
    try:
        header, sizes = frames.read_header(data, 1000)
    except FrameError:
        return
    assert isinstance(header, dict) and sum(sizes) <= 1000


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda x: st.lists(x, max_size=4))


@given(JSON, st.lists(st.binary(max_size=12), max_size=3))
def test_image_headers_are_refused_or_fit_their_data(headers, blobs):
    try:
        found = frames.images(headers, blobs, 100)
    except FrameError:
        return
    for (mode, width, height), image, data in zip(headers, found, blobs, strict=True):
        assert image == Pixels(mode, width, height, data)
        assert len(data) == width * height * {"L": 1, "RGB": 3, "RGBA": 4}[mode]


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(min_value=10**4000) | st.floats() | st.text(max_size=5),
    lambda x: st.lists(x, max_size=5) | st.dictionaries(st.text(max_size=5), x, max_size=3),
    max_leaves=12,
)
ANSWERS = st.fixed_dictionaries(
    {},
    optional={
        "call": st.just(1) | ANY,
        "status": st.sampled_from(["ok", "error", "interrupted"]) | ANY,
        "images": st.just([]) | st.just([["L", 2, 2]]) | ANY,
        "blobs": st.lists(st.integers(0, 9), min_size=4, max_size=6)
        | st.lists(st.just(10**4300 - 1), max_size=12)
        | ANY,
    },
)


def json_with_long_numbers(value):
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        return json.dumps(value).encode()
    finally:
        sys.set_int_max_str_digits(limit)


@given(ANSWERS.map(json_with_long_numbers) | st.binary(max_size=99), st.binary(max_size=60), st.integers(-2, 2))
def test_whatever_a_session_sends_is_an_answer_or_no_frame(header, rest, off):
    """What else came out of the reading would come out of ``Session.run``."""

    async def read():
        session = Session(None, 0, SMALL)
        session._calls = 1
        session._reader = asyncio.StreamReader()
        session._reader.feed_data(struct.pack("!I", max(0, len(header) + off)) + header + rest)
        session._reader.feed_eof()
        return await session._answer()

    try:
        found = asyncio.run(read())
    except (FrameError, asyncio.IncompleteReadError):
        return
    assert isinstance(found, Result) and found.status in ("ok", "error", "interrupted")


def test_the_limits_hold_for_all_blobs_and_all_images_together():
    header = json.dumps({"blobs": [500, 501]}).encode()
    assert frames.read_header(header, 1001) == ({}, [500, 501])
    with pytest.raises(FrameError, match="1001 bytes where 1000 are allowed"):
        frames.read_header(header, 1000)
    two = [["L", 5, 10], ["L", 5, 10]], [bytes(50)] * 2
    assert len(frames.images(*two, 100)) == 2
    with pytest.raises(FrameError):
        frames.images(*two, 99)
    with pytest.raises(FrameError, match="a header of"):
        frames.header_length(b"\xff\xff\xff\xff")
