"""Lets ``python -m cdigen`` do what the ``cdigen`` command does."""

from cdigen.main import main

if __name__ == "__main__":
    main()
