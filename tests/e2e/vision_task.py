"""A small Qwen3-VL that calls its tools on half of the pictures, in a folder: ``vision_task.py FOLDER``.

It can write calls and answers, and is too young to read. A process of its own, with torchvision.
"""

import sys
from dataclasses import replace
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "vision_zoom"
STEPS = 150

if __name__ == "__main__":
    sys.path.insert(0, str(EXAMPLE))
    from run import build_cold_start
    from vision_cold_start import RECIPE

    recipe = replace(RECIPE, steps=STEPS, direct={"not_needed": 0.5, "needed": 0.5})
    build_cold_start(Path(sys.argv[1]), 1, recipe)
