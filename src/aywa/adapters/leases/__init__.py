"""Where leases are kept beside the database; refuses to know who owns what."""
