"""The browser's drawing libraries (Vega, Vega-Lite, Vega-Embed) as one script to embed in pages.

They come with the package vl-convert-python, so that no page and no build needs a network.
"""

from importlib.metadata import version
from pathlib import Path

from retail_platform.serving.whole_files import write_whole


def vega_script(cache: Path) -> str:
    """The libraries' JavaScript; it defines ``vegaEmbed``.

    Args:
        cache: Folder in which the bundle is kept: putting it together takes two seconds.
    """
    path = cache / f"vega-{version('vl-convert-python')}.js"
    if not path.exists():
        # Imported here: a native library of 80 MB that is needed once a deployment.
        import vl_convert

        bundle = vl_convert.javascript_bundle()  # pyright: ignore[reportCallIssue] - has defaults
        # A closing tag within a script would end it.
        write_whole(path, bundle.replace("</script", "<\\/script"))
    return path.read_text("utf-8")
