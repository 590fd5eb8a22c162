"""Model providers behind one port; one file each."""
