"""What doctor says of public verl command lines with ``adv_estimator=hdpo``, and what migrate makes of them."""

from __future__ import annotations

import re

import pytest
from pipeline import Pipeline, corpus

from verl_hdpo.adapters.override_problems import compose_telling_all
from verl_hdpo.cli.migrate import migrate
from verl_hdpo.doctor import engines
from verl_hdpo.doctor.new_command import new_command
from verl_hdpo.runs.finding import Finding
from verl_hdpo.runs.migration.launchers import LAUNCHER, launcher_of
from verl_hdpo.runs.verl_command import PASTED, VerlConfig

CORPUS = corpus()
PUBLIC = [pipeline for pipeline in CORPUS if pipeline.project]
OURS = [pipeline for pipeline in CORPUS if not pipeline.project]


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def wrong(monkeypatch, tmp_path):
    """What doctor says that the line does not, and the other way round."""

    def compared(pipeline: Pipeline) -> tuple[list[Finding], list[list[str]]]:
        installed = engines._installed
        monkeypatch.setattr(engines, "_installed", lambda name: name not in pipeline.lacks and installed(name))
        found = pipeline.findings(tmp_path)
        unsaid = [[mark, key] for mark, key in pipeline.says if not any(_is(one, mark, key) for one in found)]
        return [one for one in found if not any(_is(one, *said) for said in pipeline.says)], unsaid

    return compared


def _is(finding: Finding, mark: str, key: str) -> bool:
    return finding.mark == mark and key in " ".join([finding.found, *finding.advice])


@pytest.mark.parametrize("pipeline", OURS, ids=lambda pipeline: pipeline.path)
def test_doctor_says_of_each_mistake_what_is_so(wrong, pipeline):
    assert wrong(pipeline) == ([], [])


@pytest.mark.slow
@pytest.mark.parametrize("pipeline", PUBLIC, ids=lambda pipeline: f"{pipeline.project}:{pipeline.path}")
def test_doctor_says_of_a_public_command_line_what_is_so(wrong, pipeline):
    assert wrong(pipeline) == ([], [])


@pytest.mark.nightly
@pytest.mark.parametrize("pipeline", PUBLIC, ids=lambda pipeline: f"{pipeline.project}:{pipeline.path}")
def test_what_migrate_makes_of_it_is_composed_but_for_what_it_leaves_to_the_owner(pipeline):
    context = migrate.make_context("migrate", ["--", *pipeline.command])
    launcher = context.meta.get(PASTED, LAUNCHER)
    if (launcher != LAUNCHER and launcher_of(launcher) is None) or pipeline.config:
        return  # refused, or from a config of the owner's own
    *where, overrides = (context.params[name] for name in ("config_name", "config_path", "config_dir", "overrides"))
    command = new_command(launcher, launcher_of(launcher), VerlConfig(*where), overrides)
    of = command.config
    _, problems = compose_telling_all(of.config_name, of.config_path, of.config_dir, command.overrides)
    left = "\n".join(command.left)
    assert not [problem.found for problem in problems if problem.found not in left]


def test_each_line_says_where_it_is_from():
    assert len(PUBLIC) >= 150 and len({pipeline.project for pipeline in PUBLIC}) >= 15
    assert all(re.fullmatch(r"[0-9a-f]{40}", pipeline.commit) and pipeline.path for pipeline in PUBLIC)
