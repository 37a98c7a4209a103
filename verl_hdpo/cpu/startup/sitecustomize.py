"""Lets a torchvision built for CUDA be imported beside a torch for the CPU; one that loads is left alone.

torchvision/extension.py swallows the error when its library ``_C.so`` does not load. ``_meta_registrations.py`` and
``_autograd_registrations.py``, imported next, then extend operators that do not exist: ``RuntimeError: operator
torchvision::nms does not exist``. Empty modules take their places. The image processors only resize, which needs none
of those operators.

``import verl`` and vLLM's engine import torchvision through transformers (image_utils.py) before they load plugins. So
this is a ``sitecustomize``, which Python imports by that name from ``PYTHONPATH``.
"""

import sys
from types import ModuleType

from wrapt import register_post_import_hook


def _without_operators(extension: ModuleType) -> None:
    if not extension._has_ops():
        for name in ("torchvision._autograd_registrations", "torchvision._meta_registrations"):
            sys.modules[name] = ModuleType(name)


register_post_import_hook(_without_operators, "torchvision.extension")
