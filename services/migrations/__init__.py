"""The schemas of the services' databases, and what brings them up to date: ``python -m services.migrations``.

A folder is a history: Alembic revisions, one after the other. A revision that loses data says so::

    destructive = "drops the column items.note"
"""
