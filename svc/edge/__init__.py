"""What every request passes before it reaches a slice, and every error on its way out."""
