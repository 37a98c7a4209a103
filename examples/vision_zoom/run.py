"""The second quickstart: a small vision model learns on the CPU when not to zoom into its picture.

It draws pictures and builds a model that calls ``zoom`` or ``python`` whether it can read the digit or not, trains it
with stock verl, and shows tool use and accuracy before and after.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).parent
QUICKSTART = HERE.parent / "quickstart"
sys.path.append(str(QUICKSTART))

from experiment import THREADS, Experiment, run  # noqa: E402
from kept_build import Report, kept_build  # noqa: E402
from vision_training import STEPS, overrides  # noqa: E402

from verl_hdpo.runs.cpu_images import ImagePackagesMissing, image_environment, use_image_packages  # noqa: E402

if TYPE_CHECKING:
    from cold_start import Recipe


def build_cold_start(path: Path, seed: int, recipe: Recipe | None = None) -> float:
    """Pictures and model of ``seed`` in ``path``; returns the seconds that building them took, 0 if reused.

    Args:
        recipe: default: this quickstart's.
    """
    import vision_cold_start

    recipe = recipe or vision_cold_start.RECIPE

    def build(folder: Path, report: Report) -> dict[str, Any]:
        import pandas
        import torch
        from pictures import deal

        torch.set_num_threads(THREADS)
        for part in vision_cold_start.train(recipe, seed, report):
            part.save_pretrained(folder / "model")
        for name, pictures in deal(seed).items():
            rows = [picture.row(index) for index, picture in enumerate(pictures)]
            pandas.DataFrame(rows).to_parquet(folder / f"{name}.parquet")
        return {"recipe": asdict(recipe)}

    sources = [HERE / f"{name}.py" for name in ("pictures", "processor", "model", "zoom", "vision_cold_start")]
    sources += [QUICKSTART / "cold_start.py", QUICKSTART / "tokenizer.py"]
    return kept_build(path, seed, sources, recipe.steps, build)


if __name__ == "__main__":
    try:
        environment = image_environment(HERE)
        use_image_packages()
        run(Experiment("quickstart-vision", __doc__, STEPS, build_cold_start, overrides, HERE, environment))
    except ImagePackagesMissing as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit("Stopped; no process of the run is left.")
