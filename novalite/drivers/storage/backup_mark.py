"""The mark on a store of backups: which appliance writes to it, and with which key."""

from __future__ import annotations

import json
from uuid import uuid4

from novalite.drivers.storage.base import BackupKeeper
from novalite.drivers.storage.objects import Objects
from novalite.errors import DriverError

_NAME = "store.json"
_VERSION = 1


class BackupMark:
    """Kept in the clear. It guards against two that write by mistake, not against two that begin in one moment.
    ``besides`` is where a store of old, without a mark, shows that it holds something."""

    def __init__(self, objects: Objects, appliance_id: str, *, key_id: str, besides: str) -> None:
        self._objects, self._appliance_id, self._key_id, self._besides = objects, appliance_id, key_id, besides
        self._readable = False

    def keeper(self) -> BackupKeeper:
        writer, key_id = self._read()
        return BackupKeeper(writer, writer in ("", self._appliance_id), bool(key_id))

    def require_readable(self) -> None:
        """Raises ``DriverError`` with code ``backup.key`` for a store that is encrypted otherwise than ours."""
        if not self._readable:
            self._require_key(self._read()[1])
            self._readable = True

    def require_ours(self) -> None:
        """Mark a store that nobody has. Raises as above, and with code ``backup.not_ours``."""
        writer, key_id = self._read()
        self._require_key(key_id)
        if not writer:
            self._write()
        elif writer != self._appliance_id:
            raise DriverError(
                "backup", f"another appliance ({writer}) writes to {self._objects.place}", code="backup.not_ours",
                hint="Give each its own place. If that one is no more: 'novalite backup take-over'.",
            )  # fmt: skip

    def take_over(self) -> None:
        """Repeatable. Raises as ``require_readable`` does."""
        self._require_key(self._read()[1])
        self._write()

    def term(self) -> str:
        """The same for as long as one appliance has the store: another, or the same one later, begins a new one."""
        return (self._objects.get(_NAME) or b"").decode(errors="replace")

    def _write(self) -> None:
        mark = {"version": _VERSION, "writer": self._appliance_id, "key": self._key_id, "term": uuid4().hex}
        self._objects.put(_NAME, json.dumps(mark).encode())

    def _read(self) -> tuple[str, str]:
        """The writer, and the id of the key (empty: in the clear)."""
        text = self._objects.get(_NAME)
        if text is None:
            used = next(iter(self._objects.names(self._besides)), None) is not None
            return "", "" if used else self._key_id
        try:
            mark = json.loads(text)
            if mark["version"] != _VERSION:
                raise ValueError
            return str(mark["writer"]), str(mark["key"])
        except (ValueError, KeyError, TypeError) as error:
            raise DriverError("backup", f"{_NAME} in {self._objects.place} is damaged",
                              code="backup.corrupt") from error  # fmt: skip

    def _require_key(self, key_id: str) -> None:
        if key_id == self._key_id:
            return
        if not self._key_id:
            what, hint = "is encrypted", "Name the file of its key in backups.key_file."
        elif not key_id:
            what, hint = "was begun without a key", "Take backups.key_file away, or choose another place."
        else:
            what, hint = "is encrypted with another key", "Name the file of its own key in backups.key_file."
        raise DriverError("backup", f"{self._objects.place} {what}", code="backup.key", hint=hint)
