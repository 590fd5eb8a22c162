"""Other people's clients, unmodified, against a real server, each in its own environment: `make test-clients`."""
