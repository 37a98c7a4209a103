"""Tools on a machine of their own: a server that runs them for many trajectories, and its client. HTTP with JSON."""

TOKEN_ENV = "VERL_HDPO_TOOL_TOKEN"
"""Environment variable with the token, where no other is named."""
