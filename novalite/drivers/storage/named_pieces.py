"""Which pieces the manifests of a store name, as far as it was read: a manifest is never changed."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterable

_MOST = 4 << 20
"""Names that are kept, of eight bytes each; manifests beyond that are read each time."""
_DIGITS = 16


class NamedPieces:
    """Kept in memory by the beginnings of the names: of two pieces that begin alike both stay while one is named.

    Good for one ``term`` of the store, in which nobody else writes to it. Not for several threads at once."""

    def __init__(self, most: int = _MOST) -> None:
        self._most, self._term = most, ""
        self._known: dict[str, array[int]] = {}
        self._kept = 0

    def unnamed(
        self, digests: Collection[str], term: str, backup_ids: Collection[str],
        read: Callable[[str], Iterable[str | None]],
    ) -> list[str]:  # fmt: skip
        """Those of ``digests`` that no backup names; ``read`` gives what one of them does."""
        self._forget_all_but(backup_ids if term and term == self._term else ())
        self._term = term
        left = {_beginning(digest) for digest in digests}
        for backup_id in backup_ids:
            if not left:
                break
            left.difference_update(self._named_by(backup_id, read))
        return sorted(digest for digest in digests if _beginning(digest) in left)

    def forget(self, backup_id: str) -> None:
        self._kept -= len(self._known.pop(backup_id, ()))

    def _forget_all_but(self, backup_ids: Collection[str]) -> None:
        for gone in set(self._known) - set(backup_ids):
            self.forget(gone)

    def _named_by(self, backup_id: str, read: Callable[[str], Iterable[str | None]]) -> array[int]:
        found = self._known.get(backup_id)
        if found is None:
            found = array("Q", {_beginning(digest) for digest in read(backup_id) if digest is not None})
            if self._kept + len(found) <= self._most:
                self._known[backup_id] = found
                self._kept += len(found)
        return found


def _beginning(digest: str) -> int:
    return int(digest[:_DIGITS], 16)
