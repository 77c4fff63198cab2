from __future__ import annotations

from tests.databases import do_not_wait_for_the_disk

do_not_wait_for_the_disk()
