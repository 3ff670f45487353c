"""What both dialects of the store share: tables, queries, the chain of migrations; refuses to connect anywhere."""
