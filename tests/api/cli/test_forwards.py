"""Ports of the machine that lead to servers, as a person at a shell asks for them."""

from __future__ import annotations

from typing import Any


def test_a_port_leads_to_a_server_and_is_taken_back(novalite: Any, image: str) -> None:
    assert novalite("server", "create", "shop", "--image", image, "--flavor", "m1.tiny") == 0, novalite.err
    assert novalite("server", "forward", "shop", "8080:80") == 0, novalite.err
    assert "novalite access allow tcp:80" in novalite.out + novalite.err, "nothing lets it in yet"
    assert novalite("access", "allow", "tcp:53") == 0
    assert novalite("access", "allow", "udp:53") == 0
    assert novalite("server", "forward", "add", "shop", "5353:53", "--udp") == 0, novalite.err
    assert "access allow" not in novalite.out + novalite.err
    rows = novalite.rows("server", "forward", "list")
    assert [row[0] for row in rows] == ["5353/udp", "8080/tcp"]
    assert rows[1][2].endswith(":80")
    assert novalite("server", "forward", "shop", "8080:81") != 0
    assert "leads to a server already" in novalite.err
    assert novalite("server", "forward", "shop", "80") != 0
    assert "HOSTPORT:GUESTPORT" in novalite.err
    assert novalite("server", "forward", "remove", "8080") == 0, novalite.err
    assert novalite("server", "forward", "remove", "8080") != 0
    assert [row[0] for row in novalite.rows("server", "forward", "list")] == ["5353/udp"]
    assert novalite("server", "delete", "shop") == 0, novalite.err
    assert novalite.rows("server", "forward", "list") == []
