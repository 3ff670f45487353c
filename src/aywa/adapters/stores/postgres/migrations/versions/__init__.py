"""Where PostgreSQL's chain begins, with what the embedded store had by then; what follows is the same for both."""
