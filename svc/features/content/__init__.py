"""The configurations of an application as one document, which changes as a whole."""
