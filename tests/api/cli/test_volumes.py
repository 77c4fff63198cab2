"""Volumes at a shell."""

from __future__ import annotations

from typing import Any


def test_a_volume_from_its_making_to_its_end(novalite: Any) -> None:
    made = novalite.json("volume", "create", "data", "--size", "1")
    assert (made["status"], made["size"], made["bootable"]) == ("available", 1, "false")
    assert novalite("volume", "extend", "data", "2") == 0
    (row,) = novalite.rows("volume", "list")
    assert row[:5] == [made["id"], "data", "available", "2", "false"]
    kept = novalite.json("volume", "snapshot", "data", "before")
    assert (kept["status"], kept["volume_id"]) == ("available", made["id"])
    assert [each["name"] for each in novalite.json("volume", "snapshots", "data")] == ["before"]
    copy = novalite.json("volume", "create", "copy", "--snapshot", "before")
    assert (copy["size"], novalite.json("volume", "show", "copy")["snapshot_id"]) == (2, kept["id"])
    assert novalite.json("volume", "create", "twin", "--volume", "data", "--size", "3")["size"] == 3
    assert novalite("volume", "delete", "data") == 1
    assert "snapshots" in novalite.err
    assert novalite("volume", "delete-snapshot", "before") == 0
    assert novalite("volume", "delete", "data", "copy", "twin") == 0
    assert novalite.json("volume", "list") == []
    assert novalite("volume", "show", "data") == 3


def test_attached_and_detached(novalite: Any, image: str) -> None:
    assert novalite("server", "create", "web", "--image", image, "--flavor", "m1.tiny") == 0
    novalite.json("volume", "create", "data", "--size", "1")
    assert novalite("volume", "detach", "data") == 1
    assert "not attached" in novalite.err
    assert novalite.json("volume", "attach", "data", "web")["device"] == "/dev/vdb"
    shown = novalite.json("volume", "show", "data")
    assert (shown["status"], len(shown["attachments"])) == ("in-use", 1)
    assert novalite.json("volume", "snapshot", "data", "live")["status"] == "available"
    assert novalite("volume", "extend", "data", "2") == 0
    assert novalite("volume", "detach", "data") == 0
    assert novalite.json("volume", "show", "data")["status"] == "available"
    assert novalite("volume", "delete", "--cascade", "data") == 0
    assert novalite("server", "delete", "web") == 0


def test_a_volume_of_an_image(novalite: Any, image: str) -> None:
    made = novalite.json("volume", "create", "system", "--image", image, "--size", "1")
    assert made["bootable"] == "true"
    assert novalite("volume", "delete", "system") == 0


def test_what_cannot_be(novalite: Any) -> None:
    assert novalite("volume", "create", "nothing") == 2
    assert "--size" in novalite.err
    assert novalite("volume", "create", "both", "--volume", "a", "--snapshot", "b") == 2
    assert novalite("volume", "create", "lost", "--snapshot", "none") == 3
    assert "volume snapshots" in novalite.err
    assert novalite("volume", "attach", "none", "none") == 3
