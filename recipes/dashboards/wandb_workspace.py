"""Save the panels of panels.yaml as a view of a W&B project, beside the one that W&B makes by itself.

pip install wandb-workspaces
python recipes/dashboards/wandb_workspace.py ENTITY PROJECT
"""

from __future__ import annotations

import argparse
from pathlib import Path

import wandb_workspaces.reports.v2 as reports
import yaml
from wandb_workspaces.workspaces import Section, Workspace

PANELS = Path(__file__).with_name("panels.yaml")


def workspace(entity: str, project: str) -> Workspace:
    sections = yaml.safe_load(PANELS.read_text())
    return Workspace(
        entity=entity,
        project=project,
        name="HDPO",
        sections=[
            Section(
                name=section,
                is_open=True,
                panels=[
                    reports.LinePlot(title=title, x="training/global_step", y=metrics)
                    for title, metrics in found.items()
                ],
            )
            for section, found in sections.items()
        ],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("entity", help="your W&B user or team")
    parser.add_argument("project", help="trainer.project_name of the run")
    args = parser.parse_args()
    print(workspace(args.entity, args.project).save().url)


if __name__ == "__main__":
    main()
