# A merchant's server as it is often written: Starlette on uvicorn, one process, SQLite with a flush to disk for each payment.
# Measured beside ours by `cargo bench --bench merchant`, where Python has them.
import hashlib
import socket
import sqlite3
import sys
from xml.etree import ElementTree

import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

database, key = sys.argv[1:3]
db = sqlite3.connect(database, isolation_level=None)
db.execute("PRAGMA journal_mode = WAL")
db.execute("PRAGMA synchronous = FULL")
db.execute(
    "CREATE TABLE payments (transaction_id TEXT PRIMARY KEY, order_no TEXT, total TEXT, body BLOB) WITHOUT ROWID"
)


async def notify(request):
    body = await request.body()
    try:
        fields = {field.tag: field.text or "" for field in ElementTree.fromstring(body)}
    except ElementTree.ParseError:
        return PlainTextResponse("fail")
    text = "".join(f"{name}={fields[name]}&" for name in sorted(fields) if name != "sign" and fields[name])
    sign = hashlib.md5(f"{text}key={key}".encode()).hexdigest()
    paid = all(fields.get(name) == "0" for name in ("status", "result_code", "pay_result"))
    if sign != fields.get("sign", "").lower() or not paid:
        return PlainTextResponse("fail")
    # Each statement is its own transaction.
    db.execute(
        "INSERT OR IGNORE INTO payments VALUES (?, ?, ?, ?)",
        (fields["transaction_id"], fields["out_trade_no"], fields["total_fee"], body),
    )
    return PlainTextResponse("success")


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(128)
print("listening on %s:%d" % listener.getsockname(), flush=True)
app = Starlette(routes=[Route("/notify", notify, methods=["POST"])])
uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])
