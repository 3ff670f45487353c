"""HTTP and WebSockets as every vendor's adapter needs them. Knows no vendor, and decides nothing about trying again."""
