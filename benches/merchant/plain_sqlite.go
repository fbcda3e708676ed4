package main

import (
	"database/sql"

	_ "github.com/mattn/go-sqlite3"
)

func open(database string) (book, error) {
	db, err := sql.Open("sqlite3", database+"?_journal_mode=WAL&_synchronous=FULL&_busy_timeout=5000&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	// One writer: others would only wait for its lock.
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("CREATE TABLE payments (transaction_id TEXT PRIMARY KEY, order_no TEXT, total TEXT, body BLOB) WITHOUT ROWID"); err != nil {
		return nil, err
	}
	insert, err := db.Prepare("INSERT OR IGNORE INTO payments VALUES (?, ?, ?, ?)")
	if err != nil {
		return nil, err
	}
	return func(transaction, order, total string, body []byte) error {
		_, err := insert.Exec(transaction, order, total, body)
		return err
	}, nil
}
