// A merchant's server as it is usually written, well: net/http, SQLite with a flush to disk for each payment.
// Built and measured beside ours by `cargo bench --bench merchant`, where Go is there.
package main

import (
	"crypto/md5"
	"database/sql"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sort"
	"strings"

	_ "github.com/mattn/go-sqlite3"
)

type message struct {
	Fields []struct {
		XMLName xml.Name
		Value   string `xml:",chardata"`
	} `xml:",any"`
}

func main() {
	key := os.Args[2]
	db, err := sql.Open("sqlite3", os.Args[1]+"?_journal_mode=WAL&_synchronous=FULL&_busy_timeout=5000&_txlock=immediate")
	if err != nil {
		panic(err)
	}
	// One writer: others would only wait for its lock.
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("CREATE TABLE payments (transaction_id TEXT PRIMARY KEY, order_no TEXT, total TEXT, body BLOB) WITHOUT ROWID"); err != nil {
		panic(err)
	}
	insert, err := db.Prepare("INSERT OR IGNORE INTO payments VALUES (?, ?, ?, ?)")
	if err != nil {
		panic(err)
	}
	http.HandleFunc("/notify", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 16384))
		var read message
		if err != nil || xml.Unmarshal(body, &read) != nil {
			io.WriteString(w, "fail")
			return
		}
		fields := map[string]string{}
		names := []string{}
		for _, field := range read.Fields {
			fields[field.XMLName.Local] = field.Value
			if field.XMLName.Local != "sign" && field.Value != "" {
				names = append(names, field.XMLName.Local)
			}
		}
		sort.Strings(names)
		var text strings.Builder
		for _, name := range names {
			text.WriteString(name + "=" + fields[name] + "&")
		}
		digest := md5.Sum([]byte(text.String() + "key=" + key))
		paid := fields["status"] == "0" && fields["result_code"] == "0" && fields["pay_result"] == "0"
		if !strings.EqualFold(hex.EncodeToString(digest[:]), fields["sign"]) || !paid {
			io.WriteString(w, "fail")
			return
		}
		if _, err := insert.Exec(fields["transaction_id"], fields["out_trade_no"], fields["total_fee"], body); err != nil {
			io.WriteString(w, "fail")
			return
		}
		io.WriteString(w, "success")
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println("listening on", listener.Addr())
	panic(http.Serve(listener, nil))
}
