// A merchant's server as it is usually written, well: net/http, and a commit flushed to disk for each payment, in SQLite
// (plain_sqlite.go) or PostgreSQL (plain_postgres.go). Built and measured beside ours by `cargo bench --bench merchant`,
// where Go and the driver are there.
package main

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sort"
	"strings"
)

type message struct {
	Fields []struct {
		XMLName xml.Name
		Value   string `xml:",chardata"`
	} `xml:",any"`
}

// Returns when the payment is on the disk.
type book func(transaction, order, total string, body []byte) error

func main() {
	key := os.Args[2]
	insert, err := open(os.Args[1])
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
		if err := insert(fields["transaction_id"], fields["out_trade_no"], fields["total_fee"], body); err != nil {
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
