"""A serving image: echoes, fails and dies on request; says which model it is."""

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

assert sys.argv[1:] == ["serve"], sys.argv
model = json.loads((Path(os.environ["SAGEMAKER_BASE_DIR"]) / "model/model.json").read_text())
if os.environ.get("ACT") == "die":
    print("no such model")
    sys.exit(9)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self.answer(503 if os.environ.get("ACT") == "sick" else 200, b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if body.strip() == b"die":
            os._exit(5)
        if body.strip() == b"hang":
            print("hanging", flush=True)
            time.sleep(600)
        if body.startswith(b"slow "):
            time.sleep(float(body[5:]))
        if body.startswith(b"status "):
            self.answer(int(body[7:10]), b"bad request: column x")
            return
        if "SAGEMAKER_BATCH" in os.environ:
            strategy = os.environ["SAGEMAKER_BATCH_STRATEGY"]
            kinds = f"{strategy} {self.headers['Content-Type']} {self.headers['Accept']}"
            self.answer(200, body.upper().strip() + f" [{kinds}]".encode())
            return
        if body == b"raw":
            self.answer(200, bytes(range(256)))
            return
        seen = {name.lower(): value for name, value in self.headers.items()}
        self.answer(200, json.dumps({**model, "headers": seen, "size": len(body)}).encode())

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Amzn-SageMaker-Custom-Attributes", "from-the-model")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        print("request", self.path, flush=True)


class Server(ThreadingHTTPServer):
    allow_reuse_address = True


Server(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
