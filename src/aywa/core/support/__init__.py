"""What a support bundle may hold, what is taken out of it, and what can be told from it. Pure; refuses to collect anything."""
