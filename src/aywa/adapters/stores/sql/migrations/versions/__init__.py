"""One file a schema revision of both dialects, in order; refuses to import the runtime: a revision never changes."""
