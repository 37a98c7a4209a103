"""A small Qwen3-VL that calls its tools up to eight times on half of the pictures: ``vision_task.py FOLDER``.

It can write calls and answers, and is too young to read. A process of its own, with torchvision.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "vision_zoom"
MOST_CALLS = 8
STEPS = 250


def build(folder: Path) -> None:
    sys.path[:0] = [str(EXAMPLE), str(EXAMPLE.parent / "quickstart")]
    import vision_cold_start
    from run import build_cold_start

    Dialogue = vision_cold_start.Dialogue

    @dataclass(frozen=True)
    class Repeated(Dialogue):
        """The same call several times, each with its image, before the answer."""

        @property
        def calls(self):
            digit = int(self.picture.digit)
            return MOST_CALLS if digit % 2 else 1 + digit // 2

        @property
        def images(self):
            first, *shown = super().images
            return [first, *shown * self.calls]

        @property
        def messages(self):
            user, *turns, final = Dialogue(self.picture, self.way).messages
            return [user, *turns * self.calls, final]

        def _call(self, call, response):
            return super()._call(call, response) * self.calls

    recipe = replace(vision_cold_start.RECIPE, steps=STEPS, direct={"not_needed": 0.5, "needed": 0.5})
    vision_cold_start.Dialogue = Repeated
    build_cold_start(folder, 1, recipe)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
