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
from tiny_model import MODELS, write_adapter, write_model


@pytest.fixture(scope="session")
def directory(tmp_path_factory) -> Path:
    """Of each kind of model, a folder with the model and its rollouts; of ``dense``, an adapter too."""
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("engines")
    for kind in MODELS:
        folder = path / kind
        write_model(folder / "model", kind)
        model = Reference(folder / "model")
        with torch.no_grad():
            batch = make_rollouts(lambda prompt, response: model.log_probs(prompt, response)[0].float())  # noqa: B023
        torch.save(batch, folder / "rollouts.pt")
    write_adapter(path / "dense" / "model", path / "dense" / "adapter")
    return path


@pytest.fixture(scope="session")
def rollouts(directory) -> dict[str, Rollouts]:
    """By kind of model."""
    return {kind: torch.load(directory / kind / "rollouts.pt", weights_only=False) for kind in MODELS}


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
        folder = directory / layout.model
        return Reference(folder / "model", folder / "adapter" if layout.lora else None)

    return make


@pytest.fixture(scope="session")
def reference(make_reference, rollouts):
    """``reference(layout, setting)``: the update that the whole mini-batch calls for."""

    @functools.cache
    def update(kind: str, lora: bool, setting: str) -> Update:
        return models[kind, lora].update(rollouts[kind], SETTINGS[setting])

    models = {(layout.model, layout.lora): make_reference(layout) for layout in LAYOUTS.values()}
    return lambda layout, setting: update(layout.model, layout.lora, setting)
