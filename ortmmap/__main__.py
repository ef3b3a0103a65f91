"""The command ``ortmmap``, also as ``python -m ortmmap``."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    if sys.argv[1:2] == ["run"]:  # needs no click, and leaves the script's arguments alone
        from ortmmap.compat.run_script import main as run

        run(sys.argv[2:])
        return
    try:
        from ortmmap.cli.main import main as commands
    except ImportError as error:
        if error.name == "click":
            sys.exit("ortmmap's command line needs click; install it with: pip install click")
        if sys.argv[1:2] != ["doctor"]:
            raise
        from ortmmap.cli.doctor import doctor  # finds out what is broken

        doctor(sys.argv[2:], prog_name="ortmmap doctor")
    commands()


if __name__ == "__main__":
    main()
