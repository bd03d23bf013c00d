"""A client of protocol V2, as the agents in the field speak it, in the short notation of the scenarios.

`S` session, `HB` heartbeat, `X` close, `P` push rows, `AS`/`AE` audit start and end; `Q` tree, `ST` stats, `BS` blind spots,
`SU` suspects. `f`/`d` make a file or directory row. Every call returns the httpx response; nothing is retried or hidden.
"""

import time
from typing import Any, Self

import httpx

Row = dict[str, Any]

SOURCES = {
    "rt": ("realtime", "message"),
    "sn": ("snapshot", "snapshot"),
    "au": ("audit", "audit"),
    "od": ("on_demand_job", "on_demand_job"),
}


def f(path: str, mtime: float, size: int = 1, **more: Any) -> Row:
    """The row of a file."""
    name = path.rsplit("/", 1)[-1]
    return {
        "path": path,
        "file_name": name,
        "size": size,
        "modified_time": mtime,
        "created_time": mtime,
        "is_directory": False,
        **more,
    }


def d(path: str, mtime: float, **more: Any) -> Row:
    """The row of a directory."""
    return f(path, mtime, 0, **{"is_directory": True, **more})


class Reader:
    """Asks one view with a query key."""

    def __init__(self, url: str, view: str, key: str) -> None:
        self.http = httpx.Client(base_url=f"{url}/api/v1/views/{view}", headers={"X-API-Key": key}, timeout=60)

    def Q(self, path: str = "/", **parameters: Any) -> httpx.Response:
        """`GET tree`."""
        return self.http.get("/tree", params={"path": path, **parameters})

    def ST(self, **parameters: Any) -> httpx.Response:
        """`GET stats`."""
        return self.http.get("/stats", params=parameters)

    def BS(self) -> httpx.Response:
        """`GET blind-spots`."""
        return self.http.get("/blind-spots")

    def SU(self) -> httpx.Response:
        """`GET suspect-list`."""
        return self.http.get("/suspect-list")

    def paths(self, path: str = "/", **parameters: Any) -> set[str]:
        """Every path at and below `path`, from one recursive tree answer. Fails when it is not 200."""
        answer = self.Q(path, **parameters)
        assert answer.status_code == 200, answer.text
        found, open_nodes = set(), [answer.json()]
        while open_nodes:
            node = open_nodes.pop()
            found.add(node["path"])
            open_nodes.extend(node.get("children", []))
        return found

    def close(self) -> None:
        """Close the connections."""
        self.http.close()


class V2Client:
    """One agent pipe. `session_id` and `role` are what the server last said; `index` may be given to set the capture time in ms."""

    def __init__(self, url: str, key: str, view: str, query_key: str, task: str) -> None:
        self.http = httpx.Client(base_url=f"{url}/api/v1/pipe", headers={"X-API-Key": key}, timeout=60)
        self.reader = Reader(url, view, query_key)
        self.task = task
        self.session_id = ""
        self.role = ""

    def S(self, timeout: int | None = None, **more: Any) -> httpx.Response:
        """Open a session."""
        body: dict[str, Any] = {"task_id": self.task, "source_type": "fs", "client_info": {"source_uri": "/data"}, **more}
        if timeout is not None:
            body["session_timeout_seconds"] = timeout
        answer = self.http.post("/session/", json=body)
        if answer.status_code == 200:
            self.session_id, self.role = answer.json()["session_id"], answer.json()["role"]
        return answer

    def HB(self, **status: Any) -> httpx.Response:
        """Heartbeat; `status` goes into `agent_status`."""
        agent, _, pipe = self.task.partition(":")
        body = {
            "can_realtime": True,
            "agent_status": {"agent_id": agent, "pipe_id": pipe, "state": "66", "role": self.role, **status},
        }
        answer = self.http.post(f"/session/{self.session_id}/heartbeat", json=body)
        if answer.status_code == 200:
            self.role = answer.json()["role"]
        return answer

    def X(self) -> httpx.Response:
        """Close the session."""
        return self.http.delete(f"/session/{self.session_id}")

    def P(
        self,
        source: str,
        rows: list[Row],
        kind: str = "update",
        end: bool = False,
        *,
        index: int | None = None,
        metadata: dict[str, Any] | None = None,
        **envelope: Any,
    ) -> httpx.Response:
        """Push one event with these rows. `source`: rt, sn, au or od; `kind`: insert, update or delete."""
        message_source, source_type = SOURCES[source]
        event = {
            "event_type": kind,
            "fields": sorted(rows[0]) if rows else [],
            "rows": rows,
            "event_schema": "fs",
            "table": "files",
            "message_source": message_source,
            "index": int(time.time() * 1000) if index is None else index,
            "timestamp": time.time(),
        }
        body = {
            "session_id": self.session_id,
            "source_type": source_type,
            "is_end": end,
            "events": [event] if rows else [],
            **envelope,
        }
        if metadata is not None:
            body["metadata"] = metadata
        return self.http.post(f"/ingest/{self.session_id}/events", json=body)

    def delete(self, *paths: str, source: str = "rt", **more: Any) -> httpx.Response:
        """Push a delete of these paths."""
        return self.P(source, [{"path": path} for path in paths], "delete", **more)

    def AS(self) -> httpx.Response:
        """Start an audit."""
        return self.http.post("/consistency/audit/start")

    def AE(self) -> httpx.Response:
        """End the audit."""
        return self.http.post("/consistency/audit/end")

    def snapshot(self, rows: list[Row]) -> None:
        """A whole snapshot in one batch, acknowledged."""
        answer = self.P("sn", rows, "insert", end=True)
        assert answer.status_code == 200, answer.text

    def close(self) -> None:
        """End the session when there is one, and close the connections."""
        if self.session_id:
            self.X()
        self.reader.close()
        self.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()
