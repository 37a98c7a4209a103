"""Put the panels of panels.yaml into a TensorBoard log: its tab Custom Scalars then shows them.

python recipes/dashboards/tensorboard.py tensorboard_log/<project>/<experiment>
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import yaml

PANELS = Path(__file__).with_name("panels.yaml")


def layout() -> dict[str, dict[str, list]]:
    """As ``SummaryWriter.add_custom_scalars`` takes it; a tag is a regular expression there."""
    sections = yaml.safe_load(PANELS.read_text())
    return {
        section: {title: ["Multiline", [f"^{re.escape(one)}$" for one in metrics]] for title, metrics in found.items()}
        for section, found in sections.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=Path, help="folder of the run's events; TENSORBOARD_DIR, if that was set")
    folder = parser.parse_args().log
    if not folder.is_dir():
        raise SystemExit(f"{folder} is not a folder; give the one that trainer.logger=[tensorboard] wrote")
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder)) as writer:
        writer.add_custom_scalars(layout())
    print(f"Now: tensorboard --logdir {folder}, tab Custom Scalars")


if __name__ == "__main__":
    main()
