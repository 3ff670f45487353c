"""The tools of one call that are run outside of it: what each kind asks, and of whom."""
