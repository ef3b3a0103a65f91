"""How a session is opened, and how it runs."""
