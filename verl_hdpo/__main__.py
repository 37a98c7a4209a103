"""``python -m verl_hdpo``: the command ``verl-hdpo``."""

from verl_hdpo.cli.main import main

if __name__ == "__main__":
    main(prog_name="verl-hdpo")
