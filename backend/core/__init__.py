"""Agents, the router that chooses among them, and the toolbox they use."""
