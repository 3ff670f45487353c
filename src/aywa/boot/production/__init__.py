"""What must hold before `aywa serve` takes calls in production, and what is said where it does not."""
