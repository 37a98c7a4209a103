"""``ComparisonFile``: the options of ``verl-hdpo compare`` in a YAML file; those on the command line win."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import click
from pydantic import Field

from verl_hdpo.runs.user_text import NotTextError, read_yaml
from verl_hdpo.settings.group import Flag, SettingsError, StrictSettings, Wanted

Texts = Annotated[list[str], Wanted("a list of texts, as on the command line")]


class ComparisonFile(StrictSettings):
    """What the file may hold; every key is an option of the command."""

    algos: Annotated[str | list[str], Wanted("a list of algorithms, such as [grpo, 'hdpo[w_tool=0.5]']")] = ""
    seeds: Annotated[int | list[int], Wanted("a number of seeds, or a list of them")] = 3
    out: str = ""
    title: str = ""
    cpu: Flag = False
    stall_timeout: Annotated[float, Wanted("a number of seconds")] = 900.0
    ray_jobs: str = ""
    at_once: Annotated[int, Wanted("a number >= 1")] = 1
    config_name: str = ""
    config_path: str = ""
    config_dir: str = ""
    overrides: Texts = Field(default_factory=list)

    @property
    def options(self) -> dict[str, Any]:
        """Those that the file sets, as the command line has them; ``overrides`` are none."""
        found = self.model_dump(exclude_unset=True, exclude={"overrides"})
        if isinstance(self.algos, list) and "algos" in found:
            found["algos"] = ",".join(self.algos)
        return found


def read(path: Path) -> ComparisonFile:
    """The file.

    Raises:
        NotTextError: it is not valid YAML.
        SettingsError: it holds an unknown key or a bad value.
    """
    return ComparisonFile.read(read_yaml(path), path.name)


def take(ctx: click.Context, parameter: click.Parameter, path: Path | None) -> ComparisonFile:
    """Make what the file sets the defaults of the other options.

    Raises:
        click.BadParameter: the file cannot be taken.
    """
    try:
        found = read(path) if path else ComparisonFile()
    except (NotTextError, SettingsError) as error:
        raise click.BadParameter(str(error), ctx, parameter) from None
    ctx.default_map = {**(ctx.default_map or {}), **found.options}
    return found
