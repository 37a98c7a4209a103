"""Every metric in a dashboard is one that this package logs or serves."""

import json
import re
import runpy
import sys
from pathlib import Path

import pytest
import torch
import yaml

from verl_hdpo.adapters import advantage_step, loss
from verl_hdpo.outcomes.batch import Outcomes
from verl_hdpo.outcomes.ledger import ToolLedger, ToolTally
from verl_hdpo.outcomes.metrics import advantage_metrics, batch_metrics

DASHBOARDS = Path(__file__).parents[2] / "recipes" / "dashboards"


def logged_names():
    """Names of all metrics of a batch, and those of the loss, which its source names."""
    ledger = ToolLedger(rounds=1, tools={"calc": ToolTally(executed=1)})
    both = torch.tensor([True, True])
    outcomes = Outcomes(both, both, torch.tensor([1, 0]), [ledger, ledger], sources=("exact", "exact"))
    group = torch.tensor([0, 0])
    metrics, _ = batch_metrics(outcomes, ["q", "q"], group, 1, 2)
    metrics |= advantage_metrics(torch.ones(2), torch.zeros(2), torch.zeros(2), group, outcomes)
    assert "hdpo/tool/pg_loss" in Path(loss.__file__).read_text()
    assert 'metrics[f"hdpo/acc/{name}"]' in Path(advantage_step.__file__).read_text()
    return {f"hdpo/{name}" for name in [*metrics, "tool/pg_loss", "acc/pg_loss"]}


def test_panels_show_metrics_of_the_package():
    panels = yaml.safe_load((DASHBOARDS / "panels.yaml").read_text())
    shown = [metric for section in panels.values() for metrics in section.values() for metric in metrics]
    assert len(shown) == len(set(shown)) > 15
    assert set(shown) - logged_names() == set()


def test_grafana_shows_metrics_of_the_tool_server():
    pytest.importorskip("prometheus_client")
    from verl_hdpo.tools.server.metrics import Metrics

    served = {metric.name: metric.type for metric in Metrics().registry.collect()}
    ends = {"counter": "_total", "histogram": "_bucket", "gauge": ""}
    names = {name + ends[kind] for name, kind in served.items()}
    dashboard = json.loads((DASHBOARDS / "grafana_tool_servers.json").read_text())
    asked = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    assert set(re.findall(r"verl_hdpo_\w+", asked)) == names, "each metric has a panel"


def test_the_layout_is_in_the_log(tmp_path, monkeypatch):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.custom_scalar import layout_pb2

    monkeypatch.setattr(sys, "argv", ["tensorboard.py", str(tmp_path)])
    runpy.run_path(str(DASHBOARDS / "tensorboard.py"), run_name="__main__")
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    (stored,) = events.Tensors("custom_scalars__config__")
    layout = layout_pb2.Layout.FromString(stored.tensor_proto.string_val[0])
    assert [category.title for category in layout.category] == ["Tool use", "Accuracy", "Signal", "Trouble"]
    assert re.fullmatch(layout.category[0].chart[0].multiline.tag[0], "hdpo/tool_use_rate")


def test_the_view_in_wandb_has_each_panel():
    pytest.importorskip("wandb_workspaces")
    view = runpy.run_path(str(DASHBOARDS / "wandb_workspace.py"))["workspace"]("team", "project")
    spec = view._to_model().spec.section.panel_bank_config.sections  # what save() sends
    panels = yaml.safe_load((DASHBOARDS / "panels.yaml").read_text())
    sent = {
        section.name: {panel.config.chart_title: panel.config.metrics for panel in section.panels} for section in spec
    }
    assert sent == panels
