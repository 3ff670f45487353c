"""`python -m tests.faults`: see outbox_world."""

from tests.faults.outbox_world import main

main()
