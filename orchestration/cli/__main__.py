"""`python -m orchestration.cli` where the `etalon` script is not installed."""

from orchestration.cli.app import main

if __name__ == "__main__":
    main()
