"""The bundled guest image: built once per state directory, for ``image build`` and ``demo``."""

from __future__ import annotations

from pathlib import Path

from novalite.cli.session import Session

GUEST_IMAGE = "novalite-guest.qcow2"


def build_guest(path: Path, session: Session) -> None:
    """Write the image to ``path``, telling each step. Takes some ten seconds."""
    from novalite.drivers.storage import guest_image

    path.parent.mkdir(parents=True, exist_ok=True)
    guest_image.build(path, progress=session.say)
