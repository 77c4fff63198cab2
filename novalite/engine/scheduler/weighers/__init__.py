"""Weighers: one small class per file, each prefers hosts for one reason."""
