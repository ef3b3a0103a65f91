"""``python -m ortmmap``."""

import sys


def _main() -> None:
    if sys.argv[1:2] == ["run"]:  # needs no click, and leaves the script's arguments alone
        from ortmmap.compat.run_script import main as run

        return run(sys.argv[2:])
    try:
        from ortmmap.cli.main import main
    except ModuleNotFoundError as error:
        if error.name not in ("click", "rich"):
            raise
        sys.exit(
            f"python -m ortmmap needs {error.name}, which is not installed; "
            'install it with: pip install "ortmmap[cli]"'
        )
    return main(prog_name="python -m ortmmap")


if __name__ == "__main__":
    _main()
