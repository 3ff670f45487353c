"""What every vendor's adapter needs of HTTP and of WebSockets. Knows no vendor."""
