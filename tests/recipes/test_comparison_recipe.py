"""The comparison's mixed task: its questions, and a calculator that errs."""

import random
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest
import torch
from transformers import Qwen3Config, Qwen3ForCausalLM
from verl.tools.function_tool import load_function_tools_from_path

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "recipes" / "comparison"


@pytest.fixture
def mixed(monkeypatch):
    """``mixed`` and ``questions``, which are scripts and in no package."""
    for folder in (ROOT / "examples" / "quickstart", RECIPE):
        monkeypatch.syspath_prepend(str(folder))
    import mixed
    import questions

    yield mixed, questions
    for name in ("mixed", "questions", "cold_start", "tokenizer", "right_answers", "price_of_a_call"):
        sys.modules.pop(name, None)


def test_the_questions_are_the_quickstart_s_by_three_kinds(mixed):
    mixed, questions = mixed
    ours, theirs = mixed.mixed(1), questions.split(1)
    for stage in ("train", "validation"):
        assert [q.expression for q in getattr(ours, stage)] == [q.expression for q in getattr(theirs, stage)]
        assert [q.answer for q in getattr(ours, stage)] == [q.answer for q in getattr(theirs, stage)]
        assert {q.kind for q in getattr(ours, stage)} == set(mixed.SOURCES)
    for question in ours.validation:
        product = bool(set("*/") & set(question.expression))
        assert question.kind == "needed" or (question.kind == "half_known") == product
        assert question.text.startswith("How much" if question.kind == "half_known" else "What")
    assert mixed.mixed(1) == ours
    assert mixed.mixed(2) != ours


def test_the_cold_start_is_shown_one_wrong_answer_in_its_share(mixed):
    mixed, questions = mixed
    right = {q.expression: q.answer for q in questions.split(1).known}
    shown = defaultdict(Counter)
    for question in mixed.mixed(1).known:
        shown[question.kind, question.expression][question.answer] += 1
    assert {expression for _, expression in shown} == set(right)
    for (kind, expression), answers in shown.items():
        times_right, times_wrong = mixed.COPIES[kind]
        assert len(answers) == 2
        assert answers[right[expression]] * times_wrong == (answers.total() - answers[right[expression]]) * times_right
    assert len({answers.total() for answers in shown.values()}) == 1


def test_one_result_in_five_is_wrong(monkeypatch):
    monkeypatch.setattr("verl.tools.function_tool.FUNCTION_TOOL_REGISTRY", {})
    (tool,) = load_function_tools_from_path(str(RECIPE / "flaky_calculator.py"))
    random.seed(0)
    results = Counter(tool.fn("48/2") for _ in range(2000))
    assert 0.17 < 1 - results["24"] / 2000 < 0.23
    assert all(result[0] == "2" and len(result) == 2 for result in results)


@pytest.mark.slow
@pytest.mark.parametrize("direct", [True, False])
def test_the_probability_is_the_product_of_the_tokens(mixed, monkeypatch, direct):
    mixed, questions = mixed
    import right_answers
    from cold_start import Dialogue, Encoder
    from tokenizer import make_tokenizer

    monkeypatch.setattr("verl.tools.function_tool.FUNCTION_TOOL_REGISTRY", {})
    (tool,) = load_function_tools_from_path(str(RECIPE / "flaky_calculator.py"))
    tools = [tool.tool_schema.model_dump(exclude_unset=True, exclude_none=True)]
    tokenizer = make_tokenizer(tools)
    torch.manual_seed(0)
    shape = dict(hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=1, head_dim=32)
    model = Qwen3ForCausalLM(
        Qwen3Config(vocab_size=len(tokenizer), num_key_value_heads=1, initializer_range=0.5, **shape)
    ).eval()
    asked = [questions.Question("known", "3+4", "7"), questions.Question("known", "12-5", "7")]
    expected = []
    for question in asked:
        messages = Dialogue(question, direct).messages
        probability, decided = 1.0, False
        for at, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            before = tokenizer.apply_chat_template(
                messages[:at], tools=tools, add_generation_prompt=True, tokenize=False
            )
            after = tokenizer.apply_chat_template(messages[: at + 1], tools=tools, tokenize=False)
            ids = tokenizer(before).input_ids
            for token in tokenizer(after[len(before) :].rstrip("\n")).input_ids:
                if decided:
                    probability *= model(torch.tensor([ids])).logits[0, -1].softmax(-1)[token].item()
                decided = True
                ids.append(token)
        expected.append(probability)
    assert 0 < min(expected) < max(expected)
    found = right_answers.probabilities(model, Encoder(tokenizer, tools), asked, direct)
    assert found == {"known": pytest.approx(expected, rel=1e-3)}


def test_the_price_is_drawn_beside_what_the_runs_did(mixed, monkeypatch, tmp_path, capsys):
    import price_of_a_call

    names = ("tool_gdpo", "otc", "grpo")
    rows = [f"{source},{name},tool_use_rate,0.5,0.4,0.6,3" for source in "ab" for name in names]
    (tmp_path / "summary.csv").write_text("\n".join(["source,variant,metric,mean,min,max,count", *rows]))
    options = ["--summary", str(tmp_path / "summary.csv"), "--picture", str(tmp_path / "price.png"), "-n", "4"]
    monkeypatch.setattr(sys, "argv", ["price_of_a_call.py", *options])
    price_of_a_call.main()
    assert "| `tool_gdpo` | more than it gives |" in capsys.readouterr().out
    assert (tmp_path / "price.png").read_bytes().startswith(b"\x89PNG")
