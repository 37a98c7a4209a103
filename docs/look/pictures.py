"""``python docs/look/pictures.py DIR``: the pictures of docs/look.md, of a run of the quickstart that dumped to DIR."""

from __future__ import annotations

import sys
import tempfile
from io import BytesIO
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "tests" / "support"))
PICK = "return pick(list.rows.find((row) => row.need === 'needless' && row.step === {step}))"
PICTURES = [("page.png", 1280, 900, False), ("phone_dark.png", 390, 780, True)]


def main() -> None:
    from browser import browser, open_page, wait_for
    from PIL import Image

    from verl_hdpo.evaluation.dumps.reader import read_rollouts
    from verl_hdpo.evaluation.look.page import write_page

    rollouts = [one for one in read_rollouts(Path(sys.argv[1])).rollouts if one.phase == "train"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "look.html"
        write_page(rollouts, path, "Rollouts of outputs/run/rollouts")
        for name, width, height, dark in PICTURES:
            with browser(width, height, dark) as driver:
                open_page(driver, path)
                driver.execute_script(PICK.format(step=rollouts[0].step))
                wait_for(driver, "document.querySelector('#detail .turn')")
                picture = Image.open(BytesIO(driver.get_screenshot_as_png())).convert("RGB")
                picture.quantize(96).save(HERE / name, optimize=True)
                print(HERE / name)


if __name__ == "__main__":
    main()
