"""``ortmmap run``: a script with ortmmap's sessions instead of onnxruntime's."""

import click

from ortmmap.compat import run_script

__all__ = ["run"]


@click.command(
    short_help="Run a script with ortmmap's sessions.",
    context_settings={
        "allow_interspersed_args": False,
        "help_option_names": [],
        "ignore_unknown_options": True,
    },
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(arguments: tuple[str, ...]) -> None:
    """Run a Python script or module with ortmmap's sessions instead of onnxruntime's.

    Give a script and its arguments, or -m and a module. The exit code is the script's.
    """
    run_script.main(list(arguments))
