"""``python -m retail_platform.cli``."""

from retail_platform.cli.group import main

main()
