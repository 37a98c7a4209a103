"""Images and figures of a call, as pixels; ``show`` shows them in the answer instead of on a screen."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from verl_hdpo.tools.sandbox.frames import BYTES_PER_PIXEL, Pixels
from verl_hdpo.tools.sandbox.limits import Limits

_CONVERTED_TO = {"1": "L", "LA": "RGBA", "PA": "RGBA", "La": "RGBA", "RGBa": "RGBA"}


class Display:
    """The pictures of the running call; PIL and matplotlib count only if something imported them."""

    def __init__(self, limits: Limits):
        self.limits = limits
        self.begin()

    def begin(self) -> None:
        """Forget the last call's."""
        self.shown: list[Pixels] = []
        self.notes: list[str] = []
        self.pixels_left = self.limits.image_pixels

    def is_picture(self, value: Any) -> bool:
        """Whether it is a PIL image or a matplotlib figure."""
        image, figure = _image_class(), _figure_class()
        return bool(image and isinstance(value, image)) or bool(figure and isinstance(value, figure))

    def show(self, *pictures: Any) -> None:
        """Show each; what is no picture is printed, as IPython's ``display`` does."""
        for picture in pictures:
            if not self.is_picture(picture):
                print(repr(picture))
            elif len(self.shown) >= self.limits.images:
                self.notes.append("an image is not shown: the limit is reached")
            elif isinstance(picture, _image_class() or ()):
                self._add(picture.size, partial(pixels_of_image, picture))
            else:
                width, height = (int(side) for side in picture.get_size_inches() * picture.dpi)
                self._add((width, height), partial(_pixels_of_figure, picture))

    def show_open_figures(self) -> None:
        """Show and close pyplot's open figures."""
        pyplot: Any = sys.modules.get("matplotlib.pyplot")
        numbers = pyplot.get_fignums() if pyplot else []
        for number in numbers:
            self.show(pyplot.figure(number))
        if numbers:
            pyplot.close("all")

    def take_over(self) -> None:
        """Make ``Image.show`` and ``pyplot.show`` end up here."""
        if image := _image_class():
            image.show = lambda picture, *args, **kwargs: self.show(picture)
        pyplot: Any = sys.modules.get("matplotlib.pyplot")
        if pyplot:
            pyplot.show = lambda *args, **kwargs: self.show_open_figures()

    def _add(self, size: tuple[int, int], pixels: Callable[[], Pixels]) -> None:
        if not 0 < size[0] * size[1] <= self.pixels_left:
            self.notes.append(f"an image of {size[0]} x {size[1]} pixels is not shown: too large")
            return
        self.shown.append(pixels())
        self.pixels_left -= size[0] * size[1]


def _image_class() -> Any:
    """Pillow's, if it was imported."""
    module = sys.modules.get("PIL.Image")
    return module and module.Image


def _figure_class() -> Any:
    """matplotlib's, if it was imported."""
    module = sys.modules.get("matplotlib.figure")
    return module and module.Figure


def pixels_of_image(image: Any) -> Pixels:
    """A PIL image at its size; a mode that frames do not carry is converted."""
    if image.mode not in BYTES_PER_PIXEL:
        image = image.convert(_CONVERTED_TO.get(image.mode, "RGB"))
    width, height = image.size
    return Pixels(image.mode, width, height, image.tobytes())


def _pixels_of_figure(figure: Any) -> Pixels:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    width, height = canvas.get_width_height()
    return Pixels("RGBA", width, height, bytes(canvas.buffer_rgba()))
