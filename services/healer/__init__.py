"""The healer: what the engine's restart policies leave undone, for the containers of one stack."""
