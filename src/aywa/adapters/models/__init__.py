"""Models by content: which files there are, where they may come from, and whether the ones here are the right ones."""
