"""Fixtures: model and rollouts on disk, the reference, and the engines' outcomes."""

import functools
from pathlib import Path

import pytest
import torch
from engines import Engines
from layouts import LAYOUTS, Layout
from loss_settings import SETTINGS
from reference import Reference, Update
from rollouts import Rollouts, make_rollouts
from tiny_model import write_adapter, write_model


@pytest.fixture(scope="session")
def directory(tmp_path_factory) -> Path:
    """Model, adapter and rollouts on disk."""
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("engines")
    write_model(path / "model")
    write_adapter(path / "model", path / "adapter")
    model = Reference(path / "model")
    with torch.no_grad():
        batch = make_rollouts(lambda prompt, response: model.log_probs(prompt, response)[0].float())
    torch.save(batch, path / "rollouts.pt")
    return path


@pytest.fixture(scope="session")
def rollouts(directory) -> Rollouts:
    return torch.load(directory / "rollouts.pt", weights_only=False)


@pytest.fixture(scope="session")
def start_engines(directory, tmp_path_factory):
    """``start_engines(env, *path)``: engines whose processes have those environment variables and import from there."""
    started = []

    def start(env, *path) -> Engines:
        started.append(Engines(directory, tmp_path_factory.mktemp("ranks"), env, *path))
        return started[-1]

    yield start
    for engines in started:
        engines.close()


@pytest.fixture(scope="session")
def make_reference(directory):
    def make(layout: Layout) -> Reference:
        return Reference(directory / "model", directory / "adapter" if layout.lora else None)

    return make


@pytest.fixture(scope="session")
def reference(make_reference, rollouts):
    """``reference(layout, setting)``: the update that the whole mini-batch calls for."""

    @functools.cache
    def update(lora: bool, setting: str) -> Update:
        return models[lora].update(rollouts, SETTINGS[setting])

    models = {layout.lora: make_reference(layout) for layout in LAYOUTS.values()}
    return lambda layout, setting: update(layout.lora, setting)
