"""HTML and SVG as trees, so that no text of a file can ever become markup. Called by `page` and `charts`."""

import re
from xml.etree import ElementTree

Element = ElementTree.Element
Child = Element | str | None

# What HTML forbids even as a reference, and what turns the direction of text around.
_FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def e(tag: str, *children: Child, **attributes: object) -> Element:
    """Makes an element; in attributes' names `_` stands for `-`, one at the end is dropped; None leaves it out."""
    found = Element(tag)
    for name, value in attributes.items():
        if value is not None:
            found.set(name.rstrip("_").replace("_", "-"), clean(_written(value)))
    last: Element | None = None
    for child in children:
        if child is None:
            continue
        if isinstance(child, Element):
            found.append(child)
            last = child
        elif last is None:
            found.text = (found.text or "") + clean(child)
        else:
            last.tail = (last.tail or "") + clean(child)
    return found


def clean(text: str) -> str:
    """Replaces characters that no page may hold."""
    return _FORBIDDEN.sub("\ufffd", text)


def to_html(root: Element) -> str:
    """Writes a whole page."""
    return "<!doctype html>\n" + ElementTree.tostring(root, encoding="unicode", method="html")


def _written(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
