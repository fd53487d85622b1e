"""Lets ``python -m cdigen`` do what the ``cdigen`` command does."""

import os
import sys

if __name__ == "__main__":
    # Python, without -I or -P, looks for modules in the current directory first, where anybody's yaml.py may lie. If
    # cdigen itself is there, that is what was asked for.
    if not sys.flags.safe_path and os.path.dirname(os.path.dirname(os.path.abspath(__file__))) != sys.path[0]:
        del sys.path[0]

    from cdigen.main import main

    main()
