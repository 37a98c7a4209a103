"""Trainer V1, the default, imports packages that verl does not declare.

``pip install verl`` followed by a training run ends in an ImportError.

Package: verl
Place: verl's metadata; imports of verl/trainer/ppo/v1
Ours: pyproject.toml: "TransferQueue>=
"""

from importlib.metadata import requires

from packaging.requirements import Requirement


def is_there() -> bool:
    declared = [Requirement(text) for text in requires("verl")]
    always = {one.name.lower() for one in declared if one.marker is None or one.marker.evaluate({"extra": ""})}
    return not {"transferqueue", "cachetools", "fastapi", "uvicorn"} <= always


if __name__ == "__main__":
    print("still there" if is_there() else "mended")
