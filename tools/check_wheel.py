"""Build the wheel, install it into an empty environment, and use the server that comes out of it.

An editable install hides what a wheel forgets: the plugin, the schema, a package that nobody listed.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import boto3

ROOT = Path(__file__).parents[1]
LEFT_OUT = (".*", "data", "build", "dist", "*.egg-info", "__pycache__", "_trial_temp*", "tests", "dropin.cache")
KEYS = {"POST3_ACCESS_KEY": "WHEELCHECK", "POST3_SECRET_KEY": "a-secret-for-the-wheel"}
ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith(("POST3_", "AWS_", "PYTHON"))}


def build(directory: Path) -> Path:
    """The wheel, built from a copy of the sources so that nothing is left behind in them."""
    sources = directory / "sources"
    shutil.copytree(ROOT, sources, ignore=shutil.ignore_patterns(*LEFT_OUT))
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(directory), str(sources)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=ENVIRON)
    (wheel,) = directory.glob("*.whl")
    return wheel


def install(directory: Path, wheel: Path) -> Path:
    """The directory of programs of an environment with nothing in it but the wheel and what it needs."""
    venv.create(directory / "environment", with_pip=True)
    programs = directory / "environment" / "bin"
    pip = [str(programs / "pip"), "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--constraint", str(ROOT / "constraints.txt"), str(wheel)], check=True, env=ENVIRON)
    return programs


def output(directory: Path, *command: str) -> str:
    """What a command prints, run where the sources are not."""
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=directory, env=ENVIRON)
    return done.stdout


def serve(directory: Path, programs: Path) -> None:
    """Start the server, put an object, get it back, stop the server."""
    command = [str(programs / "twistd"), "--nodaemon", "--pidfile=", "post3", "--data-dir", str(directory / "data")]
    command += ["--listen", "tcp:0:interface=127.0.0.1", "--admin", "none", "--bucket", "wheels"]
    banner = directory / "banner"
    with banner.open("w") as file:
        server = subprocess.Popen(command, cwd=directory, env={**ENVIRON, **KEYS}, stdout=file, stderr=file)
    try:
        for _ in range(300):
            found = re.search(r"S3 +(http://\S+)", banner.read_text())
            if found or server.poll() is not None:
                break
            time.sleep(0.1)
        if not found:
            raise SystemExit(f"the server of the wheel did not start:\n{banner.read_text()}")
        client = boto3.client(
            "s3",
            endpoint_url=found[1],
            region_name="us-east-1",
            aws_access_key_id=KEYS["POST3_ACCESS_KEY"],
            aws_secret_access_key=KEYS["POST3_SECRET_KEY"],
        )
        client.put_object(Bucket="wheels", Key="hub", Body=b"spokes")
        assert client.get_object(Bucket="wheels", Key="hub")["Body"].read() == b"spokes"
    finally:
        server.send_signal(signal.SIGTERM)
        status = server.wait(30)
    if status != 0:
        raise SystemExit(f"the server of the wheel ended with status {status}:\n{banner.read_text()}")


def main() -> None:
    """Check everything; the first thing that is wrong ends it."""
    with tempfile.TemporaryDirectory(prefix="post3-wheel-") as name:
        directory = Path(name)
        programs = install(directory, build(directory))
        assert re.search(r"^ +post3 +An S3", output(directory, str(programs / "twistd"), "--help"), re.MULTILINE)
        assert output(directory, str(programs / "twistd"), "post3", "--help-backends").startswith("fs ")
        assert output(directory, str(programs / "post3"), "--version").startswith("post3tw ")
        serve(directory, programs)
    print("The wheel serves from an empty environment.")


if __name__ == "__main__":
    main()
