"""Vector stores behind one port; one file each."""
