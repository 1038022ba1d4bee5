"""The table of items. A database that has it from before schemas had versions is taken over as it is."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the table."""
    op.execute(
        """
        CREATE TABLE IF NOT EXISTS items (
            id uuid PRIMARY KEY,
            name text NOT NULL,
            value text NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now()
        )
        """
    )
