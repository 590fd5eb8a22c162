"""Use cases the API can start; each is an async generator of events."""
