"""`python -m bench.load`: one process of the load generator. See the package.

It reads a job as one line of JSON, opens its connections, prints `ready`, reads when to begin (seconds since 1970), and
prints at the end what it measured as JSON.
"""

import asyncio
import base64
import gc
import json
import resource
import sys
import time
from typing import Any

import uvloop

from bench.load.drive import Grpc, Rest, Tally, closed, open_loop
from bench.load.shoppers import Requests


async def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Does a job, which `bench.run` writes."""
    requests = Requests(
        job["operation"], job["keys"], job["payments"], unique=job["unique"], seed=job["seed"], cards=job["cards"],
        card=job["card"],
    )  # fmt: skip
    kind = Rest if job["protocol"] == "rest" else Grpc
    calls = kind(requests, [tuple(target) for target in job["targets"]], job["expected"])
    await calls.open(max(1, job["clients"] or min(64, int(job["rate"] / 20) + 1)))
    print("ready", flush=True)
    starts = float(sys.stdin.readline())
    begins = starts + job["warmup_s"]
    tally = Tally(begins, begins + job["seconds"], by_due=bool(job["rate"]))
    await asyncio.sleep(starts - time.time())
    if job["rate"]:
        await open_loop(calls, job["rate"], starts, tally)
    else:
        await closed(calls, job["clients"], tally)
    return {
        "outcomes": tally.outcomes,
        "completed": tally.completed,
        "latencies_s": base64.b64encode(tally.latencies_s.tobytes()).decode(),
    }


if __name__ == "__main__":
    gc.disable()  # a run is short, and a pause of the load generator's would be counted as the gateway's
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # a client of REST is a connection
    print(json.dumps(uvloop.run(measure(json.loads(sys.stdin.readline())))))
