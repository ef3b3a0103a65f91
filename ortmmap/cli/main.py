"""The group of all commands, with its errors and exit codes."""

from __future__ import annotations

import errno
from typing import Any

import click

from ortmmap.cli.cache import cache_group
from ortmmap.cli.completion import completion
from ortmmap.cli.convert import convert
from ortmmap.cli.doctor import doctor
from ortmmap.cli.info import info
from ortmmap.cli.ps import ps
from ortmmap.cli.run import run
from ortmmap.errors import OrtError

__all__ = ["main"]

EPILOG = """\
The exit code is 0 if the command succeeded, 1 if it failed (the reason is on standard error), and 2
if the command line is wrong. `run` exits with the code of its script, and `doctor` says in its help
what its codes mean.
"""


class _Commands(click.Group):
    """Commands whose foreseen errors are one line on standard error."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except (OrtError, OSError, NotImplementedError) as error:
            if context.invoked_subcommand == "run" or getattr(error, "errno", 0) == errno.EPIPE:
                raise
            raise click.ClickException(str(error)) from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]}, epilog=EPILOG)
@click.version_option(package_name="ortmmap")
def main() -> None:
    """Look into ONNX models, convert them, look after the cache, and run scripts with ortmmap.

    ortmmap is ONNX Runtime for Python whose sessions map the model file instead of reading it.
    """


for command in (cache_group, completion, convert, doctor, info, ps, run):
    main.add_command(command)
