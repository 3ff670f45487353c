"""What is counted and timed about all calls of a process, and what each of it is called."""
