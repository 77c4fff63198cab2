"""Chooses hosts for a server: a pure function over a snapshot, with reasons. Nothing is read or changed."""
