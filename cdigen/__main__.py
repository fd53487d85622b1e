"""Lets ``python -m cdigen`` do what the ``cdigen`` command does."""

from cdigen.cli import main

if __name__ == "__main__":
    main()
