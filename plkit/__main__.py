"""``python -m plkit``: the command."""

from plkit.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
