"""What the judge is asked, and what it remembers."""

from __future__ import annotations

import io
import json

import pytest
from judge_servers import MODEL, ask, asked_about, completion, judge_at, verdict
from local_service import Answer, serving
from PIL import Image

from verl_hdpo.grading.judge.template import BUILT_IN, Template
from verl_hdpo.outcomes.outcome import Outcome
from verl_hdpo.settings.group import SettingsError

QUESTION = ("1/2", ["0.5"], "What is half of one?")


def test_the_judge_sees_question_references_and_answer_and_nothing_else():
    with serving(verdict("correct")) as (service, url):
        ask([url], ("a\nb", ["first", "second"], "What?\nReally?"))
    assert asked_about(service.asked[0].body) == ([], "What?\nReally?", ["first", "second"], "a\nb")


def test_a_group_that_repeats_an_answer_asks_once():
    with serving(verdict("correct")) as (service, url):
        outcomes = ask([url], *[QUESTION] * 16, ("  1/2\n", *QUESTION[1:]))
    assert len(service.asked) == 1 and set(outcomes) == {Outcome.right("judge")}
    assert sum(outcome.judge.cached for outcome in outcomes) == 16
    assert sum(outcome.judge.requests for outcome in outcomes) == 1


def test_verdicts_are_kept_for_the_next_process(tmp_path):
    with serving(verdict("wrong")) as (service, url):
        for cached in (False, True):
            (outcome,) = ask([url], QUESTION, cache_dir=tmp_path)
            assert outcome == Outcome.wrong("judge") and outcome.judge.cached == cached
    assert len(service.asked) == 1


@pytest.mark.parametrize("change", ["answer", "reference", "references", "question", "model", "template", "images"])
def test_what_a_verdict_depends_on_asks_anew(change, tmp_path):
    answer, references, question = QUESTION
    (tmp_path / "policy").write_text("Anything goes.")
    image = Image.new("RGB", (2, 2), "red")
    other = {
        "answer": (("1/3", references, question), {}),
        "reference": ((answer, ["0.6"], question), {}),
        "references": ((answer, ["0.5", "0.6"], question), {}),
        "question": ((answer, references, "What?"), {}),
        "model": (QUESTION, {"model": "another"}),
        "template": (QUESTION, {"template": tmp_path / "policy"}),
        "images": ((*QUESTION, [{"type": "image", "image": image}]), {"images": True}),
    }[change]
    with serving(verdict("correct")) as (service, url):
        ask([url], QUESTION, cache_dir=tmp_path / "verdicts")
        ask([url], other[0], cache_dir=tmp_path / "verdicts", **other[1])
    assert len(service.asked) == 2


def test_an_unknown_outcome_is_not_kept(tmp_path):
    with serving(Answer(completion("perhaps"))) as (_, url):
        (outcome,) = ask([url], QUESTION, cache_dir=tmp_path, deadline=0.5)
        assert outcome == Outcome.unknown("judge_unreadable")
    with serving(verdict("correct")) as (service, url):
        (outcome,) = ask([url], QUESTION, cache_dir=tmp_path)
    assert outcome == Outcome.right("judge") and len(service.asked) == 1


def test_a_template_of_one_s_own_says_what_counts_and_the_frame_stays(tmp_path):
    path = tmp_path / "policy.txt"
    path.write_text("Only French counts.\n")
    with serving(verdict("correct")) as (service, url):
        ask([url], QUESTION, template=str(path))
    system = service.asked[0].body["messages"][0]["content"]
    assert system.startswith("Only French counts.\n\nThe user's message shows") and BUILT_IN not in system
    own, built_in = Template.read(path), Template.read(None)
    path.write_text("Only German counts.\n")
    assert len({own.version, built_in.version, Template.read(path).version}) == 3
    path.write_text(" \n")
    with pytest.raises(SettingsError, match="is empty: write down what counts as right"):
        Template.read(path)
    with pytest.raises(SettingsError, match="the judge's template cannot be read"):
        Template.read(tmp_path / "none")


def test_images_are_shown_as_data_before_the_text_and_only_if_asked_for(tmp_path):
    image, file = Image.new("RGB", (2, 2), "red"), io.BytesIO()
    image.save(file, format="JPEG")
    image.save(tmp_path / "image.png")
    parts = [
        {"type": "image", "image": image},
        {"type": "image", "image": image, "bytes": file.getvalue()},
        {"type": "image", "image": str(tmp_path / "image.png")},
        {"type": "image", "image": f"file://{tmp_path / 'image.png'}"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
    ]
    with serving(verdict("correct")) as (service, url):
        ask([url], (*QUESTION, parts), images=True)
        ask([url], (*QUESTION, parts))
    *shown, text = service.asked[0].body["messages"][1]["content"]
    urls = [part["image_url"]["url"] for part in shown]
    assert [url.partition(",")[0] for url in urls[:4]] == [
        "data:image/png;base64", "data:image/jpeg;base64", "data:image/png;base64", "data:image/png;base64",
    ]  # fmt: skip
    assert urls[4] == "https://example.com/a.png" and text["type"] == "text"
    assert isinstance(service.asked[1].body["messages"][1]["content"], str)


def test_what_the_judge_cannot_show_or_do_is_unknown_and_logged(caplog):
    with serving(verdict("correct")) as (_, url):
        (outcome,) = ask([url], (*QUESTION, [{"type": "image", "image": 7}]), images=True)
    assert outcome == Outcome.unknown("judge_error")
    assert "an image of type int cannot be sent" in caplog.text


@pytest.mark.parametrize("text", ["", "\ud800", "\x00", "emoji 👩‍👩‍👧", "a" * 1990])
def test_any_text_can_be_sent(text):
    with serving(verdict("correct")) as (service, url):
        (outcome,) = ask([url], (text, ["reference\ud800"], text))
    assert outcome == Outcome.right("judge")
    json.dumps(service.asked[0].body)


def test_one_cancelled_rollout_leaves_the_others_their_verdict():
    import asyncio

    async def run(url):
        judge = judge_at([url])
        first, second = (asyncio.create_task(judge(*QUESTION)) for _ in range(2))
        await asyncio.sleep(0.1)
        first.cancel()
        try:
            return await second
        finally:
            await judge.close()

    with serving(Answer(verdict("correct").body, delay=0.5)) as (service, url):
        assert asyncio.run(run(url)) == Outcome.right("judge")
    assert len(service.asked) == 1 and service.asked[0].body["model"] == MODEL
