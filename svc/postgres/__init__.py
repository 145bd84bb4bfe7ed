"""How `database` reaches PostgreSQL. Only `database`, `migrations` and `dev` come in here."""
