"""The recipe with SmolLM2: what its cold start teaches, which sums count as known, and that its runs compose."""

import copy
import random
import sys
from pathlib import Path

import pandas
import pytest
import torch
from run_findings import run_findings
from tiny import tiny_tokenizer
from transformers import LlamaConfig, LlamaForCausalLM
from verl.tools.function_tool import load_function_tools_from_path

from verl_hdpo.runs.cpu_settings import cpu_overrides

ROOT = Path(__file__).parents[2]
RECIPE, QUICKSTART, SMOLLM2 = (
    ROOT / "recipes" / "gsm_calculator",
    ROOT / "examples" / "quickstart",
    ROOT / "examples" / "gsm8k_smollm2",
)
MODULES = ("pipeline", "recipe", "taught", "packed", "cold_start", "questions", "tokenizer", "sft", "gsm8k", "smollm2")


@pytest.fixture(scope="module")
def parts():
    """The recipe's modules and those that it takes from the examples, all of them scripts and in no package."""
    before = {name: sys.modules.pop(name, None) for name in MODULES}
    sys.path[:0] = map(str, (RECIPE, QUICKSTART, SMOLLM2))
    try:
        yield {name: __import__(name) for name in MODULES}
    finally:
        del sys.path[:3]
        for name, module in before.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module


@pytest.fixture(scope="module")
def tokenizer(parts):
    tokenizer = copy.deepcopy(tiny_tokenizer())
    parts["smollm2"].add_tools(tokenizer)
    return tokenizer


@pytest.fixture(scope="module")
def schemas():
    tools = load_function_tools_from_path(str(QUICKSTART / "tools.py"))
    return [tool.tool_schema.model_dump(exclude_unset=True, exclude_none=True) for tool in tools]


@pytest.fixture(scope="module")
def model(tokenizer):
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=4096, **sizes)).eval()


def test_what_is_known_is_learned_without_the_decision_to_say_it(parts, tokenizer, schemas):
    question = parts["questions"].Question("not_needed", "48/2", "24")
    direct, call = (parts["cold_start"].Dialogue(question, direct) for direct in (True, False))

    def learned(dialogue, after):
        _, labels = parts["taught"].encoded(tokenizer, schemas, dialogue, after)
        return tokenizer.decode([label for label in labels if label != parts["sft"].IGNORED])

    assert learned(direct, "") == "<answer>24</answer><|im_end|>"
    assert learned(direct, "<answer>") == "24</answer><|im_end|>"
    assert learned(call, "").startswith('<tool_call>{"name": "calculator"')


def test_a_step_teaches_both_kinds_and_few_direct_answers(parts):
    recipe, split = parts["recipe"].Recipe(), parts["questions"].split(1)
    rng = random.Random(1)
    steps = [list(parts["taught"].dialogues(split, recipe, rng)) for _ in range(200)]
    assert all(len(step) == recipe.habit_rows + recipe.known_rows for step in steps)
    habits = [dialogue for step in steps for dialogue, unlearned in step if not unlearned]
    for kind, share in (("not_needed", recipe.direct_not_needed), ("needed", recipe.direct_needed)):
        direct = [dialogue.direct for dialogue in habits if dialogue.question.kind == kind]
        assert len(direct) == 100 * recipe.habit_rows
        assert sum(direct) / len(direct) == pytest.approx(share, abs=0.025)
    taught = [dialogue for step in steps for dialogue, unlearned in step if unlearned]
    assert all(dialogue.direct for dialogue in taught)
    assert {dialogue.question for dialogue in taught} == set(split.known[: recipe.known_sums])


@pytest.mark.slow
def test_packed_dialogues_have_the_probabilities_that_they_have_alone(parts, tokenizer, schemas, model):
    dialogues = list(parts["taught"].dialogues(parts["questions"].split(1), parts["recipe"].Recipe(), random.Random(2)))
    rows = [parts["taught"].encoded(tokenizer, schemas, *dialogue) for dialogue in dialogues[:40]]
    packed, owner = parts["packed"].log_probs(model, rows)
    for number, (ids, labels) in enumerate(rows):
        alone = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        at = [t for t, label in enumerate(labels) if label != parts["sft"].IGNORED]
        expected = torch.stack([alone[t - 1, ids[t]] for t in at])
        torch.testing.assert_close(packed[owner == number], expected, atol=1e-5, rtol=0)


def test_a_sum_is_known_by_the_probability_of_its_answer(parts, tokenizer, schemas, model):
    questions = parts["questions"].load("not_needed")[::80]
    found = parts["taught"].probabilities(model, tokenizer, schemas, questions)
    for question, probability in zip(questions, found, strict=True):
        user = [{"role": "user", "content": question.text}]
        prompt = tokenizer.apply_chat_template(user, tools=schemas, tokenize=False, add_generation_prompt=True)
        start = tokenizer(prompt + "<answer>", add_special_tokens=False).input_ids
        whole = tokenizer(f"{prompt}<answer>{question.answer}</answer><|im_end|>", add_special_tokens=False).input_ids
        assert whole[: len(start)] == start
        with torch.no_grad():
            log_p = model(torch.tensor([whole])).logits[0].log_softmax(-1)
        steps = range(len(start), len(whole))
        assert probability == pytest.approx(sum(log_p[t - 1, whole[t]] for t in steps).exp().item(), rel=1e-4)


@pytest.mark.parametrize("cpu", [True, False])
def test_its_runs_compose(parts, tokenizer, tmp_path, cpu):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    tokenizer.save_pretrained(tmp_path / "model")
    rows = [question.row(index) for index, question in enumerate(parts["questions"].load("needed"))]
    for name in ("train", "validation"):
        pandas.DataFrame(rows).to_parquet(tmp_path / f"{name}.parquet")
    overrides = parts["pipeline"].pipeline(tmp_path, QUICKSTART / "tools.py", 16, cpu)
    base = cpu_overrides() if cpu else []
    longer = "data.max_prompt_length=1000"  # this tokenizer has a token per byte
    findings = run_findings([*base, *overrides, longer, "algorithm.adv_estimator=hdpo"])
    assert [finding for finding in findings if finding.mark != "ok"] == []
