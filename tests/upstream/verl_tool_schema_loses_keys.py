"""A tool's JSON Schema loses ``items``, ``default``, ``minimum`` and the rest.

The model is not shown what an array holds.

Package: verl
Place: verl/tools/schemas.py, OpenAIFunctionPropertySchema
Ours: verl_hdpo/tools/base.py: class _Property
"""

from verl.tools.schemas import OpenAIFunctionPropertySchema


def is_there() -> bool:
    given = {"type": "array", "items": {"type": "integer"}, "default": [1]}
    return OpenAIFunctionPropertySchema.model_validate(given).model_dump(exclude_none=True) != given


if __name__ == "__main__":
    print("still there" if is_there() else "mended")
