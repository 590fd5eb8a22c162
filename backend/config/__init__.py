"""Settings, read from the environment and .env when asked, never at import."""
