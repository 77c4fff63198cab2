"""External networks: which one is taken when none is named."""

from __future__ import annotations

import sqlalchemy as sa

from novalite.cloud.network.records import Network
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid


def make_default(w: Work, network: Network) -> None:
    """Networks that are made for projects lead outside by this one. Raises ``Invalid`` for one that is not external,
    ``Conflict`` when another is the default."""
    if not network.is_external:
        raise Invalid("Invalid input for operation: is_default is for external networks.", code="invalid_input",
                      field="is_default")  # fmt: skip
    query = sa.select(Network.id).where(Network.is_default, Network.is_external, Network.id != network.id)
    other = w.session.scalar(query.limit(1))
    if other is not None:
        raise Conflict(f"A default external network already exists: {other}.", code="default_external_network.exists")
    network.is_default = True
    w.session.flush()
