"""What running programs read, by names, and what changes for them."""
