"""Credentials that users keep here for other protocols (ec2, totp, cert): sealed, for they are needed in clear."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime

import sqlalchemy as sa
from cryptography.fernet import Fernet
from sqlalchemy.orm import Mapped, mapped_column

from novalite.cloud.identity.records import Key, new_key
from novalite.db.records import Base
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid, NotFound

EC2 = "ec2"


class StoredCredential(Base):
    """``sealed`` is the blob under the appliance's own key, which is not in the database."""

    __tablename__ = "stored_credentials"

    id: Mapped[str] = mapped_column(Key, primary_key=True)
    user_id: Mapped[str] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"), index=True)
    project_id: Mapped[str | None] = mapped_column(Key)
    type: Mapped[str]
    sealed: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[datetime]


def get(w: Work, credential_id: str) -> StoredCredential:
    found = w.session.get(StoredCredential, credential_id)
    if found is None:
        raise NotFound("credential", credential_id, message=f"Could not find credential: {credential_id}.")
    return found


def find(w: Work, *, user_id: str = "", type: str = "") -> list[StoredCredential]:
    """Those of a user, or of a type; all of them when neither is given."""
    query = sa.select(StoredCredential).order_by(StoredCredential.created_at, StoredCredential.id)
    if user_id:
        query = query.where(StoredCredential.user_id == user_id)
    if type:
        query = query.where(StoredCredential.type == type)
    return list(w.session.scalars(query))


def create(w: Work, cipher: Fernet, *, user_id: str, project_id: str | None, type: str, blob: str) -> StoredCredential:
    """One of type ec2 has the hash of its access key as its id, and needs a project. Raises ``Invalid`` for an
    ec2 blob that is not one, ``Conflict`` for an access key that is taken."""
    credential_id = new_key()
    if type == EC2:
        if project_id is None:
            raise Invalid("A credential of type ec2 needs a project.", field="project_id")
        credential_id = ec2_id(_access(blob))
    if w.session.get(StoredCredential, credential_id) is not None:
        raise Conflict(f"Conflict occurred attempting to store credential - Duplicate ID, {credential_id}.")
    made = StoredCredential(
        id=credential_id, user_id=user_id, project_id=project_id, type=type, sealed=_seal(cipher, blob),
        created_at=w.now,
    )  # fmt: skip
    w.session.add(made)
    w.session.flush()
    return made


def change(w: Work, cipher: Fernet, credential_id: str, blob: str) -> StoredCredential:
    """Another blob; all else stays what it was made as."""
    found = get(w, credential_id)
    if found.type == EC2:
        _access(blob)
    found.sealed = _seal(cipher, blob)
    w.session.flush()
    return found


def remove(w: Work, credential_id: str) -> None:
    w.session.delete(get(w, credential_id))
    w.session.flush()


def blob(cipher: Fernet, credential: StoredCredential) -> str:
    """What was stored, in clear."""
    return cipher.decrypt(credential.sealed.encode()).decode()


def ec2_id(access: str) -> str:
    """The id of the credential with this access key."""
    return hashlib.sha256(access.encode()).hexdigest()


def _seal(cipher: Fernet, text: str) -> str:
    return cipher.encrypt(text.encode()).decode()


def _access(text: str) -> str:
    """The access key in an ec2 blob."""
    try:
        access = json.loads(text)["access"]
        str(access).encode()  # JSON may hold halves of characters
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Invalid("Invalid blob in credential: it needs access and secret as JSON.", field="blob") from error
    if not isinstance(access, str) or not access:
        raise Invalid("Invalid blob in credential: access is a text.", field="blob")
    return access
