"""A stand-in for the server of Weights & Biases on loopback, which keeps what clients send as the real one does.

Runs are known by their id: who begins one again, and is not resuming, writes over its lines from the first one on.
Artifacts are known by collection and digest: an equal one is not made again. Whatever a client asks anyone else for
comes here too, as a proxy's request, and is refused and noted.
"""

from __future__ import annotations

import gzip
import json
import re
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

ENTITY = "somebody"
KEY = "k" * 40


@dataclass
class Run:
    """What the server knows of a run; ``begun``: how often a client began it."""

    fields: dict[str, Any]
    begun: int = 0
    lines: dict[str, dict[int, str]] = field(default_factory=dict)  # of each streamed file, by number
    files: dict[str, bytes] = field(default_factory=dict)
    exit_code: int | None = None

    @property
    def config(self) -> dict[str, Any]:
        return {key: value["value"] for key, value in json.loads(self.fields["config"]).items()}

    @property
    def history(self) -> list[dict[str, Any]]:
        return [json.loads(line) for _, line in sorted(self.lines.get("wandb-history.jsonl", {}).items())]

    @property
    def summary(self) -> dict[str, Any]:
        return json.loads(self.files["wandb-summary.json"])


@dataclass
class Artifact:
    """One version: ``made_by`` and ``used_by`` are ids of runs."""

    collection: str
    type: str
    digest: str
    metadata: dict[str, Any]
    committed: bool = False
    times: int = 0  # that its manifest was sent
    manifest: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    made_by: set[str] = field(default_factory=set)
    used_by: set[str] = field(default_factory=set)


class Server:
    """``with Server() as server``: ``server.variables`` lead a client here and nowhere else."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.artifacts: dict[str, Artifact] = {}  # by their id here
        self.strangers: list[str] = []  # what was asked of anyone else
        self.unknown: list[str] = []  # questions that a stand-in cannot answer
        self.lock = threading.RLock()

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"known": self})
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.http.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.http.shutdown()
        self.http.server_close()

    @property
    def variables(self) -> dict[str, str]:
        proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), self.address)
        bypass = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        return (
            {"WANDB_BASE_URL": self.address, "WANDB_API_KEY": KEY, "WANDB_ERROR_REPORTING": "false"} | proxies | bypass
        )

    def of_type(self, job_type: str) -> dict[str, Run]:
        return {name: run for name, run in self.runs.items() if run.fields["jobType"] == job_type}

    def answer(self, name: str, given: dict[str, Any]) -> dict[str, Any] | None:
        """The data of a GraphQL answer, None where the question is not known."""
        ask = getattr(self, f"_{name}", None)
        with self.lock:
            return ask(given) if ask else None

    def _ServerFeaturesQuery(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"serverInfo": {"features": []}}

    def _Viewer(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"viewer": {"id": "U", "entity": ENTITY, "username": ENTITY, "flags": "{}", "teams": {"edges": []}}}

    def _ArtifactType(self, given: dict[str, Any]) -> dict[str, Any]:
        types = [each.type for each in self.artifacts.values() if each.collection == given["name"].partition(":")[0]]
        return {"project": {"artifact": {"artifactType": {"name": types[0]}} if types else None}}

    def _UpsertBucket(self, given: dict[str, Any]) -> dict[str, Any]:
        run = self.runs.setdefault(given["name"], Run({}))
        run.begun += given["displayName"] is not None  # later ones change fields only
        run.fields |= {key: value for key, value in given.items() if value is not None or key not in run.fields}
        entity = given["entity"] or ENTITY
        bucket = {"id": f"B{given['name']}", "name": given["name"], "displayName": run.fields["displayName"]}
        bucket |= {"config": run.fields["config"], "project": {"id": "P", "name": given["project"]}}
        bucket["project"]["entity"] = {"id": "E", "name": entity}
        return {"upsertBucket": {"bucket": bucket, "inserted": run.begun < 2}}

    def _CreateRunFiles(self, given: dict[str, Any]) -> dict[str, Any]:
        files = [{"name": name, "uploadUrl": f"{self.address}/run/{given['run']}/{name}"} for name in given["files"]]
        return {"createRunFiles": {"runID": f"B{given['run']}", "uploadHeaders": [], "files": files}}

    def _CreateArtifact(self, given: dict[str, Any]) -> dict[str, Any]:
        said = given["input"]
        name = f"{said['artifactCollectionName']}.{said['digest']}"
        artifact = self.artifacts.get(name)
        if artifact is None:
            about = said["artifactCollectionName"], said["artifactTypeName"], said["digest"]
            artifact = self.artifacts[name] = Artifact(*about, json.loads(said["metadata"] or "{}"))
        if said["runName"]:
            artifact.made_by.add(said["runName"])
        state = "COMMITTED" if artifact.committed else "PENDING"
        return {"createArtifact": {"artifact": {"id": name, "state": state, "artifactSequence": {"id": "S"}}}}

    def _CreateArtifactManifest(self, given: dict[str, Any]) -> dict[str, Any]:
        file = {"id": "F", "name": given["name"], "displayName": given["name"], "uploadHeaders": []}
        file["uploadUrl"] = f"{self.address}/manifest/{given['artifactID']}"
        return {"createArtifactManifest": {"artifactManifest": {"id": given["artifactID"], "file": file}}}

    def _CreateArtifactFiles(self, given: dict[str, Any]) -> dict[str, Any]:
        edges = []
        for file in given["input"]["artifactFiles"]:
            url = f"{self.address}/artifact/{file['artifactID']}/{file['name']}"
            node = {"id": "F", "name": file["name"], "displayName": file["name"], "uploadUrl": url, "uploadHeaders": []}
            edges.append({"node": {**node, "storagePath": file["name"], "artifact": {"id": file["artifactID"]}}})
        return {"createArtifactFiles": {"files": {"edges": edges}}}

    def _CommitArtifact(self, given: dict[str, Any]) -> dict[str, Any]:
        artifact = self.artifacts[given["artifactID"]]
        artifact.committed = True
        return {"commitArtifact": {"artifact": {"id": given["artifactID"], "digest": artifact.digest}}}

    def _UseArtifact(self, given: dict[str, Any]) -> dict[str, Any]:
        said = given["input"]
        self.artifacts[said["artifactID"]].used_by.add(said["runName"])
        return {"useArtifact": {"artifact": {"id": said["artifactID"]}}}

    def stream(self, run: str, said: dict[str, Any]) -> None:
        """Lines of a run's files; each stands where its number says."""
        with self.lock:
            known = self.runs[run]
            for name, part in said.get("files", {}).items():
                lines = known.lines.setdefault(name, {})
                lines.update(enumerate(part["content"], part["offset"]))
            if said.get("complete"):
                known.exit_code = said.get("exitcode")

    def keep(self, path: str, content: bytes) -> None:
        """An upload."""
        kind, owner, *name = path.strip("/").split("/", 2)
        with self.lock:
            if kind == "run":
                self.runs[owner].files[name[0]] = content
            elif kind == "manifest":
                self.artifacts[owner].manifest = json.loads(content)
                self.artifacts[owner].times += 1
            else:
                self.artifacts[owner].files[name[0]] = content


class _Handler(BaseHTTPRequestHandler):
    known: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def handle(self) -> None:
        with suppress(ConnectionError):  # of a client that was killed
            super().handle()

    def do_CONNECT(self) -> None:
        self.known.strangers.append(self.path)
        self._send({}, 502)

    def do_GET(self) -> None:
        if not self._strange():
            self._send({})

    def do_PUT(self) -> None:
        content = self._body()
        if not self._strange():
            self.known.keep(self.path, content)
            self._send({})

    def do_POST(self) -> None:
        content = self._body()
        if self._strange():
            return
        if self.path == "/graphql":
            said = json.loads(content)
            word = re.search(r"(?:query|mutation)\s+(\w+)", said["query"])
            name = word.group(1) if word else said["query"]
            data = self.known.answer(name, said.get("variables") or {})
            if data is None:
                self.known.unknown.append(name)
                self._send({"data": None, "errors": [{"message": f"{name} is not known"}]})
            else:
                self._send({"data": data})
        elif self.path.endswith("/file_stream"):
            self.known.stream(self.path.split("/")[-2], json.loads(content))
            self._send({})
        else:  # /sdk/metrics
            self._send({})

    def _strange(self) -> bool:
        """Whether this is a proxy's request for someone else."""
        if self.path.startswith("http"):
            self.known.strangers.append(self.path)
            self._send({}, 502)
            return True
        return False

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            content = b"".join(parts)
        else:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(content) if self.headers.get("Content-Encoding") == "gzip" else content

    def _send(self, plain: dict[str, Any], code: int = 200) -> None:
        content = json.dumps(plain).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
