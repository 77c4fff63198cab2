"""Volumes, their snapshots and types. What Compute uses: ``new_volumes.create``, ``volumes`` (get, delete, disk) and
``attachments`` (reserve, attach, begin_detaching, roll_detaching, detach)."""
