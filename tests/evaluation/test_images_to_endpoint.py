"""Prompts with images: what a server is sent, and what is said of one that takes none."""

from __future__ import annotations

import asyncio
import io
from base64 import b64decode
from types import SimpleNamespace

import pytest
from completions_server import serving
from PIL import Image

from verl_hdpo.evaluation.endpoint import Endpoint, EndpointError
from verl_hdpo.evaluation.token_client import TRAJECTORY, TokenClient, Trajectory

PAD, VIDEO = 7, 8
ROLLOUT = SimpleNamespace(prompt_length=20, response_length=10)


class Qwen2VLImageProcessor:
    """By its name verl knows that one token stands for each image to vLLM."""


PROCESSOR = SimpleNamespace(
    image_processor=Qwen2VLImageProcessor(),
    image_token="<i>",
    video_token="<v>",
    image_token_id=PAD,
    video_token_id=VIDEO,
)


@pytest.fixture
def server():
    with serving(lambda prompt, request: "four") as server:
        yield server


def generate(server, prompt_ids, images):
    async def ask():
        TRAJECTORY.set(Trajectory("free/0/0"))
        client = TokenClient(ROLLOUT, None, 1, [], [], PROCESSOR)
        client.endpoint = Endpoint(server.url)
        try:
            await client.endpoint.connect()
            return await client.generate(
                "1", prompt_ids=prompt_ids, sampling_params={"temperature": 1.0, "logprobs": False}, image_data=images
            )
        finally:
            await client.endpoint.close()

    return asyncio.run(ask())


def test_images_go_beside_one_token_each(server):
    server.takes_images = True
    images = [Image.new("RGB", (9, 5), "red"), Image.new("RGB", (3, 4), "blue")]
    output = generate(server, [1, PAD, PAD, PAD, 2, PAD, PAD, 3], images)
    (request,) = server.requests
    assert request["token_ids"] == [1, PAD, 2, PAD, 3]
    sent = [Image.open(io.BytesIO(b64decode(part["url"].partition(",")[2]))) for part in request["content_parts"]]
    assert [(image.size, image.getpixel((0, 0))) for image in sent] == [((9, 5), (255, 0, 0)), ((3, 4), (0, 0, 255))]
    assert request["sampling_params"]["max_tokens"] == 10
    assert request["sampling_params"]["logit_bias"] == {str(PAD): -100.0, str(VIDEO): -100.0}
    assert output.token_ids


def test_a_server_that_takes_no_images_is_told(server):
    with pytest.raises(EndpointError, match="prompts with images go to a vLLM"):
        generate(server, [1, PAD, 2], [Image.new("RGB", (9, 5))])


def test_video_is_refused(server):
    client = TokenClient(ROLLOUT, None, 1, [], [], PROCESSOR)
    with pytest.raises(ValueError, match="video and sound"):
        asyncio.run(client.generate("1", prompt_ids=[1], sampling_params={}, video_data=[1]))
