package main

import (
	"context"

	"github.com/jackc/pgx/v4/pgxpool"
)

// A pool of connections; statements are prepared once on each.
func open(database string) (book, error) {
	ctx := context.Background()
	config, err := pgxpool.ParseConfig(database)
	if err != nil {
		return nil, err
	}
	config.MaxConns = 32
	pool, err := pgxpool.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	if _, err := pool.Exec(ctx, "CREATE TABLE plain (transaction_id TEXT PRIMARY KEY, order_no TEXT, total TEXT, body BYTEA)"); err != nil {
		return nil, err
	}
	return func(transaction, order, total string, body []byte) error {
		_, err := pool.Exec(ctx, "INSERT INTO plain VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING", transaction, order, total, body)
		return err
	}, nil
}
