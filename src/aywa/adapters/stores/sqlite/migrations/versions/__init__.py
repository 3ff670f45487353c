"""One file a schema revision, in order; refuses to import the runtime: a revision never changes."""
