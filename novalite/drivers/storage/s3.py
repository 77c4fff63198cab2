"""Objects in a bucket of S3, or of what speaks as it does: Ceph, MinIO, Garage, SeaweedFS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import obstore
from obstore import exceptions
from obstore.store import S3Store

from novalite.errors import DriverError

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config

_RETRY_SECONDS, _REQUEST_SECONDS, _CONNECT_SECONDS = 60, 120, 5
_LISTED = 1000


@dataclass(frozen=True)
class Bucket:
    """Where a bucket is and who may use it. An empty ``endpoint`` is Amazon's, ``authority`` certificates (PEM) to
    trust besides the machine's."""

    name: str
    region: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)
    endpoint: str = ""
    prefix: str = ""
    authority: bytes = field(default=b"", repr=False)


def _config(bucket: Bucket) -> S3Config:
    made: S3Config = {
        "region": bucket.region, "access_key_id": bucket.access_key, "secret_access_key": bucket.secret_key,
        "disable_bulk_delete": True,  # not every server has it
    }  # fmt: skip
    if bucket.session_token:
        made["session_token"] = bucket.session_token
    if bucket.endpoint:
        made["endpoint"] = bucket.endpoint
    return made


def _client(bucket: Bucket) -> ClientConfig:
    made: ClientConfig = {
        "allow_http": urlsplit(bucket.endpoint).scheme == "http", "user_agent": "novalite",
        "connect_timeout": timedelta(seconds=_CONNECT_SECONDS), "timeout": timedelta(seconds=_REQUEST_SECONDS),
    }  # fmt: skip
    if bucket.authority:
        made["root_certificate"] = bucket.authority
    return made


class S3Objects:
    """What has its name is whole, because a put of one request is. Requests are repeated for a minute."""

    def __init__(self, bucket: Bucket, *, retry_seconds: float = _RETRY_SECONDS) -> None:
        self._bucket, self._prefix = bucket, bucket.prefix.strip("/")
        self._store = S3Store(
            bucket.name, config=_config(bucket), client_options=_client(bucket),
            retry_config={"retry_timeout": timedelta(seconds=retry_seconds)},
        )  # fmt: skip

    @property
    def place(self) -> str:
        where = f"s3://{self._bucket.name}/{self._prefix}".rstrip("/")
        return f"{where} at {self._bucket.endpoint}" if self._bucket.endpoint else where

    def put(self, name: str, content: bytes) -> None:
        with self._told("put"):
            obstore.put(self._store, self._key(name), content, use_multipart=False)

    def get(self, name: str) -> bytes | None:
        with self._told("get"):
            try:
                return obstore.get(self._store, self._key(name)).bytes().to_bytes()
            except (FileNotFoundError, exceptions.NotFoundError) as error:
                self._refuse_absent_bucket(error)
        return None

    def has(self, name: str) -> bool:
        with self._told("head"):
            try:
                obstore.head(self._store, self._key(name))
            except (FileNotFoundError, exceptions.NotFoundError):
                return False
        return True

    def delete(self, name: str) -> None:
        with self._told("delete"):
            try:
                obstore.delete(self._store, self._key(name))
            except (FileNotFoundError, exceptions.NotFoundError) as error:
                self._refuse_absent_bucket(error)

    def names(self, below: str) -> Iterator[str]:
        with self._told("list"):
            for listed in obstore.list(self._store, self._key(below), chunk_size=_LISTED):
                for each in listed:
                    yield each["path"].removeprefix(f"{self._prefix}/" if self._prefix else "")

    def tidy(self, *below: str) -> None:
        """See ``Objects``. A request that was cut off leaves nothing."""

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name

    def _refuse_absent_bucket(self, error: Exception) -> None:
        if "NoSuchBucket" in str(error):
            raise error

    @contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        """What the library raises, as what people can act upon."""
        try:
            yield
        except (exceptions.BaseError, OSError) as error:
            raise self._error(doing, error) from error

    def _error(self, doing: str, error: Exception) -> DriverError:
        text = str(error)
        denied = isinstance(error, PermissionError | exceptions.PermissionDeniedError | exceptions.UnauthenticatedError)
        if "NoSuchBucket" in text or isinstance(error, FileNotFoundError | exceptions.NotFoundError):
            what, hint = f"there is no bucket {self._bucket.name}", "Make it, or name another in backups.s3_bucket."
        elif denied or any(word in text for word in ("SignatureDoesNotMatch", "InvalidAccessKeyId", "AccessDenied")):
            what, hint = "access is denied", "Look at backups.s3_credentials_file, and at what its key may do."
        elif "ertificate" in text:
            what, hint = "the server's certificate is not trusted", "Name its authority in backups.s3_ca_file."
        else:
            what, hint = _short(text), "Look at backups.s3_endpoint, and whether it answers."
        return DriverError("backup", f"{self.place}: {doing}: {what}", retryable=not denied, hint=hint)


def _short(text: str) -> str:
    """The first line: the others tell of the library."""
    return (text.strip() or "no reason was told").splitlines()[0][:400]
