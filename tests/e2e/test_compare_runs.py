"""``verl-hdpo compare`` with real runs."""

import json

import pandas


def test_a_killed_comparison_goes_on_without_redoing_what_was_finished(comparison):
    assert "2 runs, 1 of them finished" in comparison.output
    assert comparison.unchanged


def test_curves_and_report_show_both_runs(comparison):
    curves = pandas.read_csv(comparison.folder / "metrics.csv")
    uses = curves[(curves.metric == "tool_use_rate") & (curves.source == "all") & (curves.phase == "train")]
    assert uses.groupby("variant").step.apply(list).to_dict() == {"grpo": [1, 2], "hdpo": [1, 2]}
    assert set(curves[curves.phase == "validation"].step) == {0, 2}
    assert "2 of 2 runs." in (comparison.folder / "report.html").read_text()
    assert all(
        (comparison.folder / picture).stat().st_size > 0 for picture in ("curves.png", "tradeoff.png", "time.png")
    )


def test_runs_differ_in_one_word(comparison):
    grpo, hdpo = (
        {
            argument
            for argument in json.loads((comparison.folder_of(algorithm) / "command.json").read_text())["arguments"]
            if not argument.startswith(("trainer.default_local_dir=", "trainer.experiment_name="))
        }
        for algorithm in ("grpo", "hdpo")
    )
    assert grpo ^ hdpo == {"algorithm.adv_estimator=grpo", "algorithm.adv_estimator=hdpo"}
