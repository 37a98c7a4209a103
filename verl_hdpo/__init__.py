"""HDPO (arXiv 2604.08545) for stock verl: ``algorithm.adv_estimator=hdpo``."""

__version__ = "0.1.0"
