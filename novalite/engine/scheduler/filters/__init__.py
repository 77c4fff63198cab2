"""Filters: one small class per file, each asks one question of one host."""
