"""The peer of `cargo xtask bench cassandra`: a plain logging handler as applications have it.

One worker thread takes records from a bounded queue, puts 100 of them into one batch of prepared
inserts, and waits for it. The table is the older layout: one record a row, key
((log_date), timestamp), an index on level, logger and request_id.

    python3 cassandra_handler.py HOST PORT KEYSPACE FILE

FILE holds one JSON object a line. Prints one JSON object: records, seconds, cpu_seconds.
Needs the package cassandra-driver.
"""

import json
import queue
import resource
import sys
import threading
import time
from datetime import datetime

from cassandra.cluster import Cluster
from cassandra.query import BatchStatement, BatchType

BATCH = 100
QUEUE = 10_000
TTL = 7_776_000

TABLE = """
CREATE TABLE IF NOT EXISTS application_logs (
    log_date date, timestamp timestamp, level text, logger text, message text, request_id text,
    user_id text, session_id text, metadata map<text, text>, traceback text, duration_ms decimal,
    PRIMARY KEY ((log_date), timestamp))
"""
INSERT = f"""
INSERT INTO application_logs (log_date, timestamp, level, logger, message, request_id, user_id,
    session_id, metadata, duration_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TTL {TTL}
"""
FIELDS = ("timestamp", "level", "logger", "message", "request_id", "user_id", "session_id", "duration_ms")


class Handler:
    def __init__(self, session):
        self.session = session
        self.insert = session.prepare(INSERT)
        self.records = queue.Queue(QUEUE)
        self.worker = threading.Thread(target=self.work)
        self.worker.start()

    def emit(self, record):
        self.records.put(record)

    def close(self):
        self.records.put(None)
        self.worker.join()

    def work(self):
        waiting = []
        while (record := self.records.get()) is not None:
            waiting.append(record)
            if len(waiting) == BATCH:
                self.write(waiting)
                waiting = []
        if waiting:
            self.write(waiting)

    def write(self, records):
        batch = BatchStatement(batch_type=BatchType.UNLOGGED)
        for record in records:
            at = datetime.fromisoformat(record["timestamp"].replace("Z", "+00:00"))
            metadata = {name: str(value) for name, value in record.items() if name not in FIELDS}
            batch.add(self.insert, (
                at.date(), at, record["level"], record["logger"], record["message"],
                record["request_id"], record["user_id"], record["session_id"], metadata,
                record["duration_ms"]))
        self.session.execute(batch)


def main():
    host, port, keyspace, path = sys.argv[1:]
    cluster = Cluster([host], port=int(port), protocol_version=5)
    session = cluster.connect(keyspace)
    session.execute(TABLE)
    for column in ("level", "logger", "request_id"):
        session.execute(f"CREATE INDEX IF NOT EXISTS ON application_logs ({column})")
    handler = Handler(session)
    began, used = time.monotonic(), cpu()
    count = 0
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            handler.emit(json.loads(line))
            count += 1
    handler.close()
    print(json.dumps({"records": count, "seconds": time.monotonic() - began, "cpu_seconds": cpu() - used}))
    cluster.shutdown()


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
