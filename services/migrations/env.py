"""What Alembic runs for each revision: it writes the revision's SQL. Nothing is connected to a database here."""

from alembic import context

context.configure(
    dialect_name="postgresql",
    # Of the history: a database that is given another one begins with that from its start, and keeps what it has.
    version_table=context.config.get_main_option("version_table"),
)
context.run_migrations()
