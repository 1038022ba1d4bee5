"""The audit trail: lines are added, and never changed or taken away."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the table, and leave its owner the right to read and to add."""
    op.execute(
        """
        CREATE TABLE audit (
            number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            message_id uuid NOT NULL UNIQUE,
            key text NOT NULL,
            type text NOT NULL,
            source text NOT NULL,
            correlation_id text NOT NULL,
            sent_at timestamptz,
            recorded_at timestamptz NOT NULL DEFAULT now(),
            message jsonb NOT NULL
        )
        """
    )
    op.execute("CREATE INDEX audit_correlation_id ON audit (correlation_id)")
    # An owner keeps no right that is taken from it, short of giving it back to itself.
    op.execute("REVOKE ALL ON audit FROM CURRENT_USER")
    op.execute("GRANT SELECT, INSERT ON audit TO CURRENT_USER")
