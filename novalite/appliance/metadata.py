"""The metadata service as a component: it serves the networks there are, and learns of changes by itself."""

from __future__ import annotations

import threading

from novalite.api.metadata.app import metadata_app
from novalite.api.metadata.guests import SERVERS
from novalite.api.metadata.listener import MetadataService
from novalite.appliance.build import Built
from novalite.cloud.network import networks
from novalite.context import internal
from novalite.drivers.network import namespaces
from novalite.drivers.network.base import network_namespace


class Metadata:
    """Runs the service. ``network_changed`` may be called from any thread; it only leaves a note."""

    def __init__(self, built: Built) -> None:
        self._built = built
        self.service = MetadataService(
            lambda network_id: metadata_app(built.database, network_id, SERVERS),
            built.network.metadata_sockets,
            lambda network_id: namespaces.identity(network_namespace(network_id)),
        )
        self._changed = threading.Event()

    def network_changed(self) -> None:
        self._changed.set()

    def networks_mended(self) -> None:
        """Some may have been made anew: their sockets are looked at now, not in a while."""
        self.service.look()

    def sync(self) -> None:
        """Serve exactly the networks of the records."""
        self._changed.clear()
        with self._built.database.read(internal()) as w:
            specs = networks.specs(w)
        self.service.sync(specs)

    def loop(self, stop: threading.Event) -> None:
        """The component: the service in this thread, its list of networks kept by a second one."""
        threading.Thread(target=self._follow, args=(stop,), name="metadata-networks", daemon=True).start()
        self.service.run(stop)

    def _follow(self, stop: threading.Event) -> None:
        self.sync()
        while not stop.is_set():
            if self._changed.wait(timeout=1.0):
                self.sync()
