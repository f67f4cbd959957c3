"""The command line ``retail-platform``: one module per command, imported when it is called.

Commands parse, call and print; what they do belongs to the areas that they call.
"""

from retail_platform.cli.group import main

__all__ = ["main"]
