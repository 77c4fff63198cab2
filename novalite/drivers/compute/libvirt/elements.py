"""A shorthand for XML elements."""

from __future__ import annotations

import xml.etree.ElementTree as ET


def sub(parent: ET.Element, tag: str, text: str = "", **attributes: str) -> ET.Element:
    """A new last child of ``parent``."""
    element = ET.SubElement(parent, tag, attributes)
    if text:
        element.text = text
    return element
