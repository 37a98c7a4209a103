"""What doctor says of the processor of a vision model."""

from types import SimpleNamespace

from image_loop import processor
from model import make_model
from omegaconf import OmegaConf

from verl_hdpo.doctor.processor import check_processor


def test_a_processor_that_verl_can_make_is_not_mentioned_and_one_that_it_cannot_is(tmp_path):
    made = processor()
    made.save_pretrained(tmp_path)
    make_model(made.tokenizer, hidden=32, layers=1).config.save_pretrained(tmp_path)
    config = OmegaConf.create({"actor_rollout_ref": {"model": {"path": str(tmp_path)}}})
    data = {"train": SimpleNamespace(images=SimpleNamespace(with_images=3))}
    assert not [*check_processor(config, data)]
    (tmp_path / "processor_config.json").write_text("{")
    (finding,) = check_processor(config, data)
    assert finding.mark == "FAIL"
    assert finding.found.startswith(f"3 rows have images, and verl makes no processor of {tmp_path}: ")
    data["train"].images.with_images = 0
    assert not [*check_processor(config, data)]
