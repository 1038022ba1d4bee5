package store

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// schemaVersion is the layout this build reads and writes.
const schemaVersion = 1

const createTables = `
CREATE TABLE IF NOT EXISTS kong_meta (
	singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
	version   integer NOT NULL,
	revision  bigint  NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS kong_entities (
	kind text NOT NULL,
	id   uuid NOT NULL,
	body jsonb NOT NULL,
	PRIMARY KEY (kind, id)
);`

// Postgres keeps entities in one table and a revision beside it. A commit
// moves the revision on, so that concurrent writers see each other.
type Postgres struct {
	pool     *pgxpool.Pool
	password atomic.Pointer[string]
}

// Connect prepares a pool; it does not wait for the server. If the DSN says that it is checked, it is by these roots.
func Connect(dsn string, roots *x509.CertPool, timeout time.Duration) (*Postgres, error) {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	if config.ConnConfig.TLSConfig != nil {
		config.ConnConfig.TLSConfig.RootCAs = roots
	}
	config.MaxConns = 4
	config.MinConns = 0
	config.MaxConnIdleTime = 5 * time.Minute
	config.HealthCheckPeriod = time.Minute
	config.ConnConfig.ConnectTimeout = timeout
	config.ConnConfig.RuntimeParams["application_name"] = "kong"
	p := &Postgres{}
	p.Renew(config.ConnConfig.Password)
	config.BeforeConnect = func(_ context.Context, next *pgx.ConnConfig) error {
		next.Password = *p.password.Load()
		return nil
	}
	p.pool, err = pgxpool.NewWithConfig(context.Background(), config)
	return p, err
}

// Renew has new connections made with another password; open ones stay.
func (p *Postgres) Renew(password string) { p.password.Store(&password) }

// Close ends the connections.
func (p *Postgres) Close() { p.pool.Close() }

// Version is the layout found in the database; 0 when there is none.
func (p *Postgres) Version(ctx context.Context) (int, error) {
	var version int
	err := p.pool.QueryRow(ctx, `SELECT version FROM kong_meta`).Scan(&version)
	if noTable(err) || errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	return version, err
}

// Bootstrap creates the tables; it may run any number of times.
func (p *Postgres) Bootstrap(ctx context.Context) error {
	return pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		// Two migrations at the same time wait for each other.
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(7161000)`); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, createTables); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO kong_meta (version) VALUES ($1) ON CONFLICT DO NOTHING`, schemaVersion)
		return err
	})
}

// Reset removes the tables and everything in them.
func (p *Postgres) Reset(ctx context.Context) error {
	_, err := p.pool.Exec(ctx, `DROP TABLE IF EXISTS kong_entities, kong_meta`)
	return err
}

// Revision reads the revision.
func (p *Postgres) Revision(ctx context.Context) (int64, error) {
	var revision int64
	err := p.pool.QueryRow(ctx, `SELECT revision FROM kong_meta`).Scan(&revision)
	return revision, wrap(err)
}

// Load reads all entities in one consistent view.
func (p *Postgres) Load(ctx context.Context) ([]Row, int64, error) {
	var rows []Row
	var revision int64
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := pgx.BeginTxFunc(ctx, p.pool, options, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, `SELECT revision FROM kong_meta`).Scan(&revision); err != nil {
			return err
		}
		found, err := tx.Query(ctx, `SELECT kind, id::text, body FROM kong_entities`)
		if err != nil {
			return err
		}
		rows, err = pgx.CollectRows(found, func(row pgx.CollectableRow) (Row, error) {
			var r Row
			var body []byte
			if err := row.Scan(&r.Kind, &r.ID, &body); err != nil {
				return r, err
			}
			return r, json.Unmarshal(body, &r.Entity)
		})
		return err
	})
	return rows, revision, wrap(err)
}

// Commit writes rows in one transaction, if nobody else did meanwhile.
func (p *Postgres) Commit(ctx context.Context, revision int64, rows []Row) (int64, error) {
	err := pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		moved, err := tx.Exec(ctx, `UPDATE kong_meta SET revision = revision + 1 WHERE revision = $1`, revision)
		if err != nil {
			return err
		}
		if moved.RowsAffected() == 0 {
			return ErrConflict
		}
		batch := &pgx.Batch{}
		for _, row := range rows {
			if row.Entity == nil {
				batch.Queue(`DELETE FROM kong_entities WHERE kind = $1 AND id = $2::uuid`, row.Kind, row.ID)
				continue
			}
			body, err := json.Marshal(row.Entity)
			if err != nil {
				return err
			}
			batch.Queue(`INSERT INTO kong_entities (kind, id, body) VALUES ($1, $2::uuid, $3::jsonb)
				ON CONFLICT (kind, id) DO UPDATE SET body = EXCLUDED.body`, row.Kind, row.ID, string(body))
		}
		return tx.SendBatch(ctx, batch).Close()
	})
	return revision + 1, wrap(err)
}

func wrap(err error) error {
	if noTable(err) || errors.Is(err, pgx.ErrNoRows) {
		return ErrNotBootstrapped
	}
	if err != nil && !errors.Is(err, ErrConflict) {
		return fmt.Errorf("PostgreSQL error: %w", err)
	}
	return err
}

// noTable recognizes "undefined_table".
func noTable(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "42P01"
}
