"""What configurations were: see, compare and bring back any revision."""
