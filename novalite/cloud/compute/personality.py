"""Files that users give with a server, to be written by the guest at its first boot."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from novalite.cloud.identity import quotas
from novalite.db.work import Work
from novalite.errors import OverQuota


def refuse_beyond_quota(w: Work, project_id: str, files: Sequence[dict[str, str]]) -> None:
    """Raises ``OverQuota`` for too many files, too long paths or too much content. Each file has a ``path`` and
    ``contents`` in base64."""
    if not files:
        return
    limits = quotas.limits(w, project_id)
    paths = max(len(one["path"].encode()) for one in files)
    sizes = max(len(base64.b64decode(one["contents"])) for one in files)
    for resource, asked, words in (
        ("injected_files", len(files), "Personality file limit exceeded"),
        ("injected_file_path_bytes", paths, "Personality file path exceeds maximum {}"),
        ("injected_file_content_bytes", sizes, "Personality file content exceeds maximum {}"),
    ):
        limit = limits[resource]
        if 0 <= limit < asked:
            raise OverQuota(resource, limit=limit, used=0, asked=asked, message=words.format(limit))
