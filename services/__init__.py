"""Programs that run in containers of their own; nothing here knows of the toolkit that starts them."""
