"""torchvision beside a torch for the CPU: built for that, built for CUDA, or not there. In processes of their own."""

import os
import subprocess
import sys
import textwrap

import pytest

from verl_hdpo.runs import cpu_images
from verl_hdpo.runs.cpu_images import ImagePackagesMissing, image_environment

EXTENSION = "def _has_ops():\n    return {loads}\n"
REGISTRATIONS = "raise RuntimeError('operator torchvision::nms does not exist')\n"


def run(code, environment):
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)
    return done.returncode, (done.stdout + done.stderr).strip().splitlines()[-1:]


def fake(folder, loads, registrations):
    """A torchvision that imports its parts in the order of the real one."""
    package = folder / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from . import extension\nfrom torchvision import _autograd_registrations, _meta_registrations\n"
    )
    (package / "extension.py").write_text(EXTENSION.format(loads=loads))
    for name in ("_autograd_registrations", "_meta_registrations"):
        (package / f"{name}.py").write_text(registrations)
    return image_environment(folder)


@pytest.mark.slow
def test_the_installed_torchvision_resizes_an_image_and_transformers_takes_it():
    code = """
    import torch, torchvision
    from torchvision.transforms.v2 import functional
    assert functional.resize(torch.zeros(3, 8, 8), [4, 4]).shape == (3, 4, 4)
    import transformers
    from transformers.image_utils import is_torchvision_available
    transformers.Qwen2VLImageProcessor()
    print(is_torchvision_available())
    """
    assert run(code, image_environment()) == (0, ["True"])


def test_one_that_loads_is_left_alone(tmp_path):
    environment = fake(tmp_path, True, "registered = True\n")
    code = "import torchvision as t; print(t._autograd_registrations.registered, t._meta_registrations.registered)"
    assert run(code, environment) == (0, ["True True"])


def test_one_that_does_not_load_can_be_imported(tmp_path):
    environment = fake(tmp_path, False, REGISTRATIONS)
    assert run("import torchvision; print('imported')", environment) == (0, ["imported"])
    code, (last,) = run("import torchvision", {"PYTHONPATH": str(tmp_path)})
    assert (code, last) == (1, "RuntimeError: operator torchvision::nms does not exist")


def test_a_process_that_does_not_import_it_pays_for_no_more_than_wrapt():
    code = "import sys; print({'torch', 'torchvision', 'verl', 'verl_hdpo', 'transformers'} & set(sys.modules))"
    assert run(code, image_environment()) == (0, ["set()"])


def test_what_is_missing_is_named_with_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setattr(cpu_images, "PACKAGES", tmp_path)
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(ImagePackagesMissing) as raised:
        image_environment()
    assert "need torchvision and qwen_vl_utils" in str(raised.value)
    assert f"pip install --no-deps --target {tmp_path} torchvision==" in str(raised.value)
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").touch()
    with pytest.raises(ImagePackagesMissing, match="need qwen_vl_utils, not found"):
        image_environment()
