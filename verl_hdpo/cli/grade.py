"""``verl-hdpo grade``: how the grader judges a file of answers."""

from __future__ import annotations

from pathlib import Path

import click

from verl_hdpo.runs.verl_command import needs_extra


@click.command(short_help="Grade a file of answers as a run would.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="jsonl to write.")
@click.option("--settings", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="YAML with what a run has under reward.reward_kwargs: check, judge, ...")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
def grade(file: Path, out: Path, settings: Path | None, as_json: bool) -> None:
    """Grade FILE, which has a line of JSON per answer, and write the lines with verdict and source to --out.

    \b
        {"gold": "1/2", "answer": "0.5", "right": true}

    gold: the reference, as in reward_model.ground_truth. answer: what the model gave. Optional: question, for a judge;
    right and kind, for the table of agreement.
    """
    with needs_extra("judge"):
        from verl_hdpo.grading.grader import Grader
        from verl_hdpo.grading.labelled import grade as graded_rows
        from verl_hdpo.grading.labelled import print_summary, read_pairs, summary, write
        from verl_hdpo.runs.outputs import check_apart
        from verl_hdpo.runs.terminal import show_json
        from verl_hdpo.runs.user_text import read_yaml
        from verl_hdpo.settings.reward import RewardSettings

    check_apart(out, [file, *([settings] if settings else ())])
    found = read_yaml(settings) if settings else None
    grader = Grader.from_settings(RewardSettings.read(found, "reward.reward_kwargs"))
    rows = graded_rows(read_pairs(file), grader, str(file))
    write(rows, out)
    (show_json if as_json else print_summary)(summary(rows))
