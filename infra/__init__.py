"""The program: what this platform is, and how its parts are connected."""
