"""Embedders behind one port; one file each."""
