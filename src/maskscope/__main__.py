"""`python -m maskscope`: the same program as `maskscope`."""

from maskscope.cli.main import main

if __name__ == "__main__":
    main()
