"""`python -m mountfs.cli`: the command line without an installed script."""

from mountfs.cli import main

if __name__ == "__main__":
    main()
