"""Moves audio every 20 ms between a leg and the machines; refuses to know why, and talks to the brain in messages only."""
