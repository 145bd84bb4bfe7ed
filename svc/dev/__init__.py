"""Tools of developers. Nothing of it runs in production."""
