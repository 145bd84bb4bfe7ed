"""How this API speaks HTTP: words that every slice may use."""
