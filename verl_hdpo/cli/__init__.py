"""The command ``verl-hdpo``."""
