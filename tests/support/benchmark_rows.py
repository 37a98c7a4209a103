"""Rows in the formats of the public benchmarks, with questions of our own."""

from __future__ import annotations

import json
from pathlib import Path

LOOKUP = {
    "name": "city.weather",
    "description": "Weather of a city.",
    "parameters": {
        "type": "dict",
        "required": ["city"],
        "properties": {
            "city": {"type": "string", "description": "Its name."},
            "type": {"type": "any", "description": "What is asked of it."},
            "at": {"type": "tuple", "items": {"type": "float"}},
        },
    },
}


def bfcl(folder: Path) -> Path:
    """Two of each part; ``quiet`` marks what a model that calls too much would answer without a call."""
    rows = {
        "irrelevance": ["2+2?", "quiet: 3+3?"],
        "live_irrelevance": ["a poem", "quiet: a song"],
        "live_relevance": ["weather in Rome", "quiet: weather in Oslo"],
    }
    for part, asked in rows.items():
        lines = [
            {"id": f"{part}_{n}", "question": [[{"role": "user", "content": text}]], "function": [LOOKUP]}
            for n, text in enumerate(asked)
        ]
        write_lines(folder / f"BFCL_v4_{part}.json", lines)
    chat = [{"question": text, "function": ""} for text in ("quiet: hello", "quiet: thanks")]
    write_lines(folder / "unused_datasets" / "question" / "BFCL_v4_chatable.json", chat)
    return folder


def when2call(folder: Path) -> Path:
    """One of each class, and one without tools."""
    samples = {
        "direct": "It is sunny.",
        "tool_call": '{"name": "city.weather", "arguments": {}}',
        "request_for_info": "Could you tell me the city?",
        "cannot_answer": "Sorry, I cannot do that.",
    }
    asked = [
        ("weather in Rome", "tool_call", [LOOKUP]),
        ("weather there", "request_for_info", [LOOKUP]),
        ("book a flight", "cannot_answer", [LOOKUP]),
        ("weather in Bonn", "cannot_answer", []),
    ]
    lines = [
        {"question": text, "correct_answer": right, "answers": samples, "tools": [json.dumps(tool) for tool in tools]}
        for text, right, tools in asked
    ]
    write_lines(folder / "data" / "test" / "when2call_test_llm_judge.jsonl", lines)
    return folder


def metatool(folder: Path) -> Path:
    """Two that need a tool, two that do not."""
    rows = [
        {"thought_prompt": f"yes or no: {text}", "query": text, "label": label, **({"tool": "radar"} if needs else {})}
        for text, label, needs in (
            ("weather in Rome", "positive", True),
            ("quiet: weather in Oslo", "positive", True),
            ("a poem", "negative", False),
            ("quiet: a song", "negative", False),
        )
    ]
    path = folder / "dataset" / "tmp_dataset" / "Task1.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(rows))
    described = {name: f"{name} of things" for name in ("radar", "maps", "news", "bank", "chess", "music", "stars")}
    (folder / "dataset" / "plugin_des.json").write_text(json.dumps(described))
    return folder


def write_lines(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
