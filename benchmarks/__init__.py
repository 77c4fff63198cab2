"""Measures NovaLite, each figure beside a floor taken in the same run: ``python -m benchmarks``."""
