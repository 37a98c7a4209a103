"""What Python runs at the start of every process of a run with images on the CPU: the folder is on ``PYTHONPATH``."""
