"""Programs that run in containers of their own; nothing here knows of the toolkit that starts them."""

__version__ = "0.1.0"
