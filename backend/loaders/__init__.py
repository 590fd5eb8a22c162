"""Document loaders, one file a format; they run inside the worker process."""
