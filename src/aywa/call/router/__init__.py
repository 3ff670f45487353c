"""Which provider is asked, how long it may take, and who is asked instead: once, for every kind and every adapter."""
