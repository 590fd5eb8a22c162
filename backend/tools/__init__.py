"""One tool a file; discovered by looking at the folder."""
