"""``ortmmap completion``: the completion of commands and options in a shell."""

import click
from click.shell_completion import get_completion_class

__all__ = ["completion"]

PROGRAM, VARIABLE = "ortmmap", "_ORTMMAP_COMPLETE"


@click.command(
    short_help="Print the code for a shell's completion.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the code that makes SHELL complete the commands of ortmmap.

    To have it in every shell, add the line `eval "$(ortmmap completion bash)"` to ~/.bashrc, or the
    one for zsh to ~/.zshrc. For fish, write the output to ~/.config/fish/completions/ortmmap.fish.
    """
    root = click.get_current_context().find_root().command
    made = get_completion_class(shell)
    assert made is not None  # click has these three
    click.echo(made(root, {}, PROGRAM, VARIABLE).source())
