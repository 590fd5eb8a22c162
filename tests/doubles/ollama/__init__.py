"""A process that speaks Ollama's HTTP protocol without weights: `python -m tests.doubles.ollama --port 0`."""
