"""Media in a process of its own: the same legs, joined to their calls by messages only."""
