"""``separate_async`` ends in a TypeError where the log level is INFO and ``hybrid_engine=False``.

``logger.info(..., flush=True)``: only ``print`` has ``flush``.

Package: verl
Place: verl/trainer/ppo/v1/trainer_separate_async.py
Ours: verl_hdpo/runs/cpu_settings.py: "VERL_LOGGING_LEVEL"
"""

import ast
import importlib.util
from pathlib import Path


def is_there() -> bool:
    verl = Path(importlib.util.find_spec("verl").origin).parent
    tree = ast.parse((verl / "trainer" / "ppo" / "v1" / "trainer_separate_async.py").read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "logger.info"]
    return any(word.arg == "flush" for call in calls for word in call.keywords)


if __name__ == "__main__":
    print("still there" if is_there() else "mended")
