"""The headings of doctor's report, in the order in which they come."""

from __future__ import annotations

PACKAGES, PLUGIN = "Packages", "Plugin"
COMMAND, CONFIG, FILES, DATA = "Command line", "Config", "Files", "Data"
DEVICE, VERL = "Device", "verl"
RUN, TOOLS, REWARD = "Run", "Tools", "Reward"
