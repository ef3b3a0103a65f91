"""The group of all commands. It needs the extra ``cli``: click and rich."""

import click

from ortmmap.cli.cache import cache_group
from ortmmap.cli.info import info
from ortmmap.cli.run import run

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ortmmap")
def main() -> None:
    """ONNX Runtime sessions that map the model file instead of reading it."""


main.add_command(cache_group)
main.add_command(info)
main.add_command(run)
