"""The browser's drawing libraries (Vega, Vega-Lite, Vega-Embed) as one script to embed in pages.

They come with the package vl-convert-python, so that no page and no build needs a network.
"""

from importlib.metadata import version
from pathlib import Path


def vega_script(cache: Path) -> str:
    """The libraries' JavaScript; it defines ``vegaEmbed``.

    Args:
        cache: Folder in which the bundle is kept: putting it together takes two seconds.
    """
    path = cache / f"vega-{version('vl-convert-python')}.js"
    if not path.exists():
        # Imported here: a native library of 80 MB that is needed once a deployment.
        import vl_convert

        cache.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        bundle = vl_convert.javascript_bundle()  # pyright: ignore[reportCallIssue] - has defaults
        # A closing tag within a script would end it.
        part.write_text(bundle.replace("</script", "<\\/script"), "utf-8")
        part.replace(path)
    return path.read_text("utf-8")
