"""The few HTML pages a customer sees: 3-D Secure, crypto and PayPal's approval. Both processors' routes render them."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from aiohttp import web

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2330; --soft: #5d6778; --line: #dfe3ea; --paper: #fff; --ground: #f2f4f8;
  --go: #1b6e4b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ecf3; --soft: #9aa5b8; --line: #303848; --paper: #1a2029;
  --ground: #10141a; --go: #2f9468; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; padding: 1rem; }
main { width: min(26rem, 100%); background: var(--paper); border: 1px solid var(--line); border-radius: 14px;
  padding: 1.75rem; box-shadow: 0 12px 40px rgb(0 0 0 / 8%); }
.tag { font-size: .75rem; letter-spacing: .06em; text-transform: uppercase; color: var(--soft); }
h1 { font-size: 1.3rem; margin: .3rem 0 1rem; }
.amount { font-size: 2.1rem; font-weight: 650; font-variant-numeric: tabular-nums; }
dl { display: grid; grid-template-columns: auto 1fr; gap: .25rem 1rem; margin: 1rem 0 1.5rem; font-size: .9rem; }
dt { color: var(--soft); } dd { margin: 0; text-align: right; overflow-wrap: anywhere; }
form { display: grid; gap: .6rem; }
button { font: inherit; padding: .7rem; border-radius: 9px; border: 1px solid var(--line); background: none;
  color: inherit; cursor: pointer; }
button.go { background: var(--go); border-color: var(--go); color: #fff; font-weight: 600; }
button:focus-visible { outline: 3px solid var(--go); outline-offset: 2px; }
.note { color: var(--soft); font-size: .85rem; margin: 1.25rem 0 0; }
"""


@dataclass(frozen=True, slots=True)
class Button:
    """A choice: posts `choice=<choice>` to the page's own address."""

    choice: str
    label: str
    primary: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """A page; without buttons it only informs."""

    processor: str
    title: str
    amount: str = ""
    facts: Sequence[tuple[str, str]] = ()
    buttons: Sequence[Button] = ()
    note: str = "This is the sandbox of a payment gateway. No real processor is involved and no money moves."


def render(page: Page, status: int = 200) -> web.Response:
    """Makes the response. Every text is escaped; the page loads nothing from anywhere."""
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in page.facts)
    buttons = "".join(
        f'<button name="choice" value="{escape(button.choice)}"{" class=go" if button.primary else ""}>'
        f"{escape(button.label)}</button>"
        for button in page.buttons
    )
    amount = f'<div class="amount">{escape(page.amount)}</div>' if page.amount else ""
    body = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(page.title)}</title><style>{_STYLE}</style></head><body><main>"
        f'<div class="tag">{escape(page.processor)} · sandbox</div><h1>{escape(page.title)}</h1>{amount}'
        f"<dl>{facts}</dl>"
        f"{'<form method=post>' + buttons + '</form>' if buttons else ''}"
        f'<p class="note">{escape(page.note)}</p></main></body></html>'
    )
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'", "Cache-Control": "no-store"}
    return web.Response(status=status, text=body, content_type="text/html", headers=headers)
