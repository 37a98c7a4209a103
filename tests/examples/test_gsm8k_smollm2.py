"""The GSM8K example's parts: its chat template in verl's own hands, its dialogues, its messages."""

import asyncio
import copy
import json
import random
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny import tiny_tokenizer
from verl.experimental.agent_loop.tool_parser import ToolParser
from verl.tools.function_tool import load_function_tools_from_path
from verl.utils.tokenizer.continuous_token_wiring import create_continuous_token_builder

EXAMPLE = Path(__file__).parents[2] / "examples" / "gsm8k_smollm2"
PROBLEM = {
    "question": "Natalia sold 48 clips in April, and half as many in May. How many altogether?",
    "answer": "In May: 48/2 = <<48/2=24>>24 clips.\nAltogether 48+24 = <<48+24=72>>72 clips.\n#### 1,072",
}


@pytest.fixture(scope="module")
def parts():
    """The example's modules; their names are no other example's."""
    sys.path.insert(0, str(EXAMPLE))
    try:
        import gsm8k
        import rl
        import sft
        import smollm2
    finally:
        sys.path.remove(str(EXAMPLE))
    return {"gsm8k": gsm8k, "rl": rl, "sft": sft, "smollm2": smollm2}


@pytest.fixture(scope="module")
def gsm8k(parts):
    return parts["gsm8k"]


@pytest.fixture(scope="module")
def tool():
    return load_function_tools_from_path(str(EXAMPLE / "calculator.py"))[0]


@pytest.fixture(scope="module")
def schemas(tool):
    return [tool.tool_schema.model_dump(exclude_unset=True, exclude_none=True)]


@pytest.fixture(scope="module")
def tokenizer(parts):
    tokenizer = copy.deepcopy(tiny_tokenizer())
    parts["smollm2"].add_tools(tokenizer)
    return tokenizer


@pytest.fixture(scope="module")
def problem(gsm8k):
    return gsm8k._problem(PROBLEM, "here")


@pytest.fixture(scope="module")
def dialogue(gsm8k, problem, tool):
    return gsm8k.calling_dialogue(problem, tool.name, tool.fn)


def test_annotations_become_calls(dialogue):
    roles = [message["role"] for message in dialogue]
    assert roles == ["user", "assistant", "tool", "assistant", "tool", "assistant"]
    calls = [m["tool_calls"][0]["function"]["arguments"]["expression"] for m in dialogue if "tool_calls" in m]
    assert calls == ["48/2", "48+24"]
    assert [m["content"] for m in dialogue if m["role"] == "tool"] == ["24", "72"]
    assert dialogue[-1]["content"] == "72 clips.\n<answer>1072</answer>"


def test_a_direct_dialogue_has_no_annotation_left(gsm8k, problem):
    user, final = gsm8k.direct_dialogue(problem)
    assert user["content"].endswith(gsm8k.INSTRUCTION)
    assert final["content"] == "In May: 48/2 = 24 clips.\nAltogether 48+24 = 72 clips.\n<answer>1072</answer>"


def test_a_solution_that_the_calculator_does_not_confirm_is_left_out(gsm8k, tool):
    rounded = gsm8k._problem({"question": "?", "answer": "<<10/3=3>>3\n#### 3"}, "here")
    no_arithmetic = gsm8k._problem({"question": "?", "answer": "<<x/3=3>>3\n#### 3"}, "here")
    bare = gsm8k._problem({"question": "?", "answer": "It is three.\n#### 3"}, "here")
    for problem in (rounded, no_arithmetic, bare):
        assert gsm8k.calling_dialogue(problem, tool.name, tool.fn) is None


def test_a_rendered_call_is_read_back_by_verls_hermes_parser(tokenizer, dialogue, schemas):
    text = tokenizer.apply_chat_template(dialogue[:2], tools=schemas, tokenize=False)
    written = text.split("<|im_start|>assistant\n")[1]
    ids = tokenizer(written, add_special_tokens=False).input_ids
    parser = ToolParser.get_tool_parser("hermes", tokenizer)
    _, (call,) = asyncio.run(parser.extract_tool_calls(ids))
    assert call.name == "calculate"
    assert json.loads(call.arguments) == {"expression": "48/2"}


def test_verls_merged_turns_are_the_rendered_dialogue(tokenizer, dialogue, schemas):
    # Token by token: what the model sees after a tool's result is what it was trained on.
    builder = create_continuous_token_builder(tokenizer, hf_model_type="llama")

    def render(messages, **options):
        return tokenizer.apply_chat_template(messages, tools=schemas, tokenize=True, return_dict=False, **options)

    tokens = builder.build_initial_tokens(dialogue[:1], tools=schemas)
    for turn in (1, 3):
        assert tokens == render(dialogue[:turn], add_generation_prompt=True)
        written = render(dialogue[: turn + 1])[len(tokens) :]
        assert written[-1] == tokenizer.eos_token_id
        tokens = builder.merge_assistant_tokens(tokens, written).token_ids
        tokens = builder.merge_context_tokens(
            dialogue[: turn + 1], dialogue[: turn + 2], tokens, tools=schemas
        ).token_ids
    assert tokens == render(dialogue[:5], add_generation_prompt=True)


def test_the_template_has_system_messages_and_does_without_tools(tokenizer):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "1+1?"}]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert text == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n1+1?<|im_end|>\n<|im_start|>assistant\n"
    )
    assert tokenizer.apply_chat_template(messages[1:], tokenize=False) == "<|im_start|>user\n1+1?<|im_end|>"


def test_only_the_assistants_words_are_learned(parts, tokenizer, dialogue, schemas):
    text = tokenizer.apply_chat_template(dialogue, tools=schemas, tokenize=False)
    ids, labels = parts["sft"].encode(tokenizer, text)
    assert len(ids) == len(labels)
    learned = tokenizer.decode([label for label in labels if label != parts["sft"].IGNORED])
    assert learned.count("<|im_end|>") == 3
    assert learned.startswith("In May: 48/2 =\n<tool_call>")
    assert "tool_response" not in learned and "Natalia" not in learned


def test_the_share_of_direct_dialogues(parts, problem, tool):
    made = parts["sft"].dialogues([problem] * 400, tool, 0.25, random.Random(0))
    assert len(made) == 400
    assert 60 < sum(len(messages) == 2 for messages in made) < 140


def test_questions_are_rows_for_verl(gsm8k, problem):
    row = problem.row(7)
    assert row["reward_model"] == {"style": "rule", "ground_truth": "1072"}
    assert row["prompt"][0]["role"] == "user"
    assert row["prompt"][0]["content"].startswith(PROBLEM["question"])


def test_load_reads_jsonl_and_says_what_is_wrong(gsm8k, tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps(PROBLEM) + "\n")
    assert [p.answer for p in gsm8k.load(str(path))] == ["1072"]
    path.write_text(json.dumps(PROBLEM) + "\n\n")
    assert len(gsm8k.load(str(path))) == 1
    path.write_text("{\n")
    with pytest.raises(ValueError, match="line 1: no JSON"):
        gsm8k.load(str(path))
    path.write_text(json.dumps({"input": "?"}) + "\n")
    with pytest.raises(ValueError, match=r"line 1: expected GSM8K's question and answer .* found \['input'\]"):
        gsm8k.load(str(path))
    with pytest.raises(ValueError, match="no such file; give GSM8K"):
        gsm8k.load(str(tmp_path / "missing.jsonl"))


def test_another_kind_of_tokenizer_is_refused(parts):
    with pytest.raises(ValueError, match="needs a ChatML model"):
        parts["smollm2"].add_tools(SimpleNamespace(get_vocab=dict))


def test_the_run_differs_by_one_word_between_algorithms(parts):
    hdpo, grpo = (parts["rl"].overrides(algo, Path("cold"), 1, 3, 4) for algo in ("hdpo", "grpo"))
    differing = [pair for pair in zip(hdpo, grpo, strict=True) if pair[0] != pair[1]]
    assert differing[0] == ("algorithm.adv_estimator=hdpo", "algorithm.adv_estimator=grpo")
    assert all("adv_estimator" in h or "experiment_name" in h for h, _ in differing)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "missing.jsonl"], "no such file; give GSM8K's train.jsonl"),
        (["--steps", "0"], "--steps must be at least 1, found 0"),
    ],
)
def test_the_command_refuses_in_words(tmp_path, arguments, message):
    command = [sys.executable, str(EXAMPLE / "run.py"), "--out", str(tmp_path), *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr
