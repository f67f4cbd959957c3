"""The parts that contract pages of every layer are made of: page, table, facts, lineage, versions.

Pure: texts in, HTML out. Not here: what a page says of Silver (`contract_docs`) and of Gold
(`retail_platform.gold.model_docs`).
"""

from collections.abc import Mapping, Sequence
from html import escape

STYLE = """
:root { color-scheme: light dark; --ink: #1c2330; --soft: #5b6678; --line: #d8dde6; --tint: #f3f5f9;
        --mark: #3d56d6; --paper: #ffffff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #98a2b3; --line: #333c4d;
        --tint: #1b2130; --mark: #93a5ff; --paper: #12161f; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       max-width: 76rem; margin: 2rem auto; padding: 0 1.2rem 4rem; }
h1 { margin: .2rem 0 .3rem; } h2 { margin: 2.4rem 0 .6rem; font-size: 1.15rem; }
a { color: var(--mark); text-decoration: none; } a:hover { text-decoration: underline; }
.lead { font-size: 1.1rem; max-width: 52rem; margin: 0 0 1.2rem; }
.soft { color: var(--soft); }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .8rem; }
.fact { background: var(--tint); border-radius: .5rem; padding: .6rem .8rem; }
.fact b { display: block; font-weight: 600; color: var(--soft); font-size: .8rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid var(--line);
         vertical-align: top; }
th { color: var(--soft); font-weight: 600; font-size: .85rem; }
code { font: .88em ui-monospace, monospace; background: var(--tint); padding: .1rem .3rem;
       border-radius: .25rem; }
.tag { display: inline-block; font-size: .75rem; border: 1px solid var(--line);
       border-radius: 1rem; padding: 0 .5rem; margin: 0 .2rem .1rem 0; white-space: nowrap; }
.flow { display: grid; grid-template-columns: 1fr auto 1fr; gap: 1.2rem; align-items: center; }
.box { border: 1px solid var(--line); border-radius: .5rem; padding: .7rem .9rem; }
.box p { margin: .15rem 0; overflow-wrap: anywhere; }
.here { border: 2px solid var(--mark); font-weight: 600; }
@media (max-width: 45rem) { .flow { grid-template-columns: 1fr; } }
"""


def page(title: str, body: str) -> str:
    """A page that fetches nothing; ``body`` is HTML."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><h1>{escape(title)}</h1>{body}</body></html>\n"
    )


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose cells are HTML."""
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    cells = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<div class='wide'>{cells}</div>"


def facts(known: Mapping[str, str]) -> str:
    """What is to be seen at once: names and texts."""
    cells = "".join(
        f"<div class='fact'><b>{escape(name)}</b>{escape(text)}</div>"
        for name, text in known.items()
    )
    return f"<div class='facts'>{cells}</div>"


def tags(texts: Sequence[str]) -> str:
    """Short texts, each in a frame."""
    return "".join(f"<span class='tag'>{escape(text)}</span>" for text in texts)


def flow(above: Sequence[str], here: str, below: Sequence[str]) -> str:
    """A table between what it is made of and who reads it."""
    middle = f"<div class='box here'>{escape(here)}</div>"
    return f"<div class='flow'>{_box(above)}{middle}{_box(below or ['nobody yet'])}</div>"


def releases(versions: Sequence[str], present: str | None) -> str:
    """Released versions, oldest first, and whether the present one is among them."""
    if not versions:
        return "<p class='soft'>None is released yet.</p>"
    state = "" if present in (None, versions[-1]) else f" {present} is not, yet."
    return f"<p>Released: {tags([*reversed(versions)])}{escape(state)}</p>"


def _box(lines: Sequence[str]) -> str:
    return f"<div class='box'>{''.join(f'<p>{escape(line)}</p>' for line in lines)}</div>"
