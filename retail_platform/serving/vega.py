"""The browser's drawing libraries (Vega, Vega-Lite, Vega-Embed) as one script to embed in pages.

They come with the package vl-convert-python, so that no page and no build needs a network.
"""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from retail_platform.serving.whole_files import write_whole

BUNDLED = """
import sys, vl_convert
sys.stdout.buffer.write(vl_convert.javascript_bundle().encode())
"""


def vega_script(cache: Path) -> str:
    """The libraries' JavaScript; it defines ``vegaEmbed``.

    Args:
        cache: Folder in which the bundle is kept: putting it together takes two seconds.
    """
    path = cache / f"vega-{version('vl-convert-python')}.js"
    if not path.exists():
        # A process: the library, which brings a V8, keeps 127 MB, and is needed once a deployment.
        bundle = subprocess.run(
            [sys.executable, "-c", BUNDLED], stdout=subprocess.PIPE, encoding="utf-8", check=True
        ).stdout
        # A closing tag within a script would end it.
        write_whole(path, bundle.replace("</script", "<\\/script"))
    return path.read_text("utf-8")
