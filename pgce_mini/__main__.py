"""`python -m pgce_mini` is `pgce`."""

from pgce_mini.cli import main

if __name__ == "__main__":
    main()
