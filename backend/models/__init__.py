"""The vocabulary every room shares: messages, events, owners, errors. Depends on nothing heavy."""
