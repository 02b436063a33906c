"""Run Ceph's s3-tests against a post3tw started for it, and hold the outcome against the list of tests that pass.

    git clone https://github.com/ceph/s3-tests && git -C s3-tests checkout 8f0ae7b4
    python3 -m venv s3-tests/.venv && s3-tests/.venv/bin/pip install -r s3-tests/requirements.txt
    python -m tests.conformance.run s3-tests              # fails when a test of passing.txt does not pass any more
    python -m tests.conformance.run s3-tests --update     # adds what passes now to passing.txt; never takes away
    python -m tests.conformance.run s3-tests --backend postgres

The suite is not part of this repository, so this is run by hand before a release, not by `make test`. What it runs: the
class "core" of test_s3.py and both halves of test_headers.py, without those marked fails_on_aws (--all takes them too),
and the one test that wants a region of a name once more in such a region. Tests that change headers which botocore
sets afterwards are helped by late_headers.py.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from urllib.parse import urlsplit

from attrs import frozen

from tests.backends import WORKERS, new_server

HERE = Path(__file__).parent
PASSING = HERE / "passing.txt"
MISSING = HERE / "missing.txt"
CORE = "not (encryption or bucket_logging or lifecycle or iam_account or cloud_transition or cloud_restore)"
FUNCTIONAL = "s3tests/functional"


@frozen
class Group:
    """Tests that share a server. `region` is that of the server, "" for the usual one, and `only` as pytest's -k."""

    title: str
    file: str
    marks: str
    only: str = ""
    region: str = ""


GROUPS = (
    Group("core", "test_s3.py", CORE),
    Group("headers, signature version 4", "test_headers.py", "not auth_aws2"),
    Group("headers, signature version 2", "test_headers.py", "auth_aws2"),
    Group("another region", "test_s3.py", CORE, "test_bucket_get_location", "eu-west-1"),
)
USERS = {
    "s3 main": ("MAINKEY", "main-secret", "testid", "M. Tester", ""),
    "s3 alt": ("ALTKEY", "alt-secret", "altid", "john.doe", ""),
    "s3 tenant": ("TENANTKEY", "tenant-secret", "testx$tenantid", "testx$tenanteduser", "testx"),
    "iam": ("IAMKEY", "iam-secret", "iamid", "youruseridhere", ""),
    "iam root": ("IAMROOTKEY", "iamroot-secret", "RGW11111111111111111", "account1", ""),
    "iam alt root": ("IAMALTROOTKEY", "iamaltroot-secret", "RGW22222222222222222", "account2", ""),
}
"""Section of the suite's configuration: access key, secret, user id, display name, tenant."""


def write_identities(path: Path) -> None:
    """The users that the suite wants, as an identities file."""
    tables = []
    for section, (access, secret, user, name, tenant) in USERS.items():
        lines = ["[[user]]", f'access_key = "{access}"', f'secret_key = "{secret}"', f'id = "{user}"']
        lines += [f'display_name = "{name}"', f'email = "{section.replace(" ", ".")}@example.com"']
        tables.append("\n".join(lines + ([f'tenant = "{tenant}"'] if tenant else [])))
    path.write_text("\n\n".join(tables) + "\n")
    path.chmod(0o600)


def write_configuration(path: Path, host: str, port: int, region: str) -> None:
    """The suite's own configuration file; `region` is what it is to ask for as a location."""
    parts = [f"[DEFAULT]\nhost = {host}\nport = {port}\nis_secure = False\nssl_verify = False"]
    parts.append(
        "[fixtures]\nbucket prefix = post3-{random}-\niam name prefix = s3-tests-\niam path prefix = /s3-tests/"
    )
    for section, (access, secret, user, name, tenant) in USERS.items():
        lines = [f"[{section}]", f"access_key = {access}", f"secret_key = {secret}", f"user_id = {user}"]
        lines += [f"display_name = {name}", f"email = {section.replace(' ', '.')}@example.com"]
        lines += [f"tenant = {tenant}"] if tenant else []
        parts.append("\n".join(lines + ([f"api_name = {region}"] if region and section == "s3 main" else [])))
    path.write_text("\n\n".join(parts) + "\n")


def outcomes(report: Path) -> dict[str, str]:
    """Test name to passed, failed or skipped, from a JUnit report."""
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        module = case.attrib["classname"].rsplit(".", 1)[-1]
        states = {child.tag for child in case}
        state = "failed" if states & {"failure", "error"} else "skipped" if "skipped" in states else "passed"
        found[f"{module}::{case.attrib['name']}"] = state
    return found


def run_group(group: Group, suite: Path, work: Path, arguments: argparse.Namespace) -> dict[str, str]:
    """Run the tests of a group with the suite's own interpreter, against a server that is started for them."""
    name = group.title.replace(",", "").replace(" ", "-")
    report, configuration, identities = work / f"{name}.xml", work / f"{name}.conf", work / "identities.toml"
    marks = group.marks if arguments.all else f"({group.marks}) and not fails_on_aws"
    command = [str(suite / ".venv/bin/pytest"), "-q", "--tb=short", "-p", "late_headers", f"--junitxml={report}"]
    command += ["-m", marks, f"{FUNCTIONAL}/{group.file}"]
    selected = " and ".join(f"({words})" for words in (group.only, arguments.select) if words)
    command += ["-k", selected] if selected else []
    command += ["-n", str(arguments.jobs)] if arguments.jobs > 1 else []
    environment = {**os.environ, "S3TEST_CONF": str(configuration), "PYTHONPATH": str(HERE)}
    options = ["--identities", str(identities)]
    if group.region:
        options += ["--region", group.region]
        environment["AWS_DEFAULT_REGION"] = group.region
    write_identities(identities)
    server = new_server(options, backend=arguments.backend, workers=arguments.workers)
    with server, (work / f"{name}.log").open("w") as log:
        url = urlsplit(server.endpoint)
        write_configuration(configuration, str(url.hostname), url.port or 80, group.region)
        subprocess.run(command, cwd=suite, env=environment, stdout=log, stderr=log, check=False)
    return outcomes(report) if report.exists() else {}


def main() -> int:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", type=Path, help="checkout of ceph/s3-tests, with its .venv")
    parser.add_argument("--update", action="store_true", help="add what passes now to passing.txt")
    parser.add_argument("--all", action="store_true", help="run tests marked fails_on_aws too")
    parser.add_argument("-k", dest="select", default="", help="as pytest's -k")
    parser.add_argument("-n", dest="jobs", type=int, default=1, help="with pytest-xdist: this many processes")
    parser.add_argument("--backend", default="fs", help="fs, or postgres in a database of its own (default: fs)")
    parser.add_argument("--workers", type=int, default=WORKERS, help="how many processes serve (default: %(default)s)")
    parser.add_argument("--work", type=Path, help="directory for reports and logs (default: a new temporary one)")
    arguments = parser.parse_args()
    work = (arguments.work or Path(tempfile.mkdtemp(prefix="s3-tests-"))).resolve()
    work.mkdir(parents=True, exist_ok=True)
    found: dict[str, str] = {}
    for group in GROUPS:
        states = run_group(group, arguments.suite.resolve(), work, arguments)
        if states:
            print(f"{group.title}: {sum(state == 'passed' for state in states.values())} of {len(states)} pass")
        found.update(states)
    passed = sorted(name for name, state in found.items() if state == "passed")
    known = set(PASSING.read_text().split()) if PASSING.exists() else set()
    lost = sorted(name for name in known & found.keys() if found[name] != "passed")
    print(f"{len(passed)} of {len(found)} pass; {len(set(passed) - known)} new; {len(lost)} lost; reports in {work}")
    for name in lost:
        print("lost:", name)
    reasons = dict(line.split(": ", 1) for line in MISSING.read_text().splitlines() if not line.startswith("#"))
    for name in sorted(found.keys() - passed):
        print(f"{found[name]}: {name}: {reasons.get(name, 'nobody knows why')}")
    if arguments.update:
        PASSING.write_text("".join(f"{name}\n" for name in sorted(known | set(passed))))
    return 1 if lost or not found else 0


if __name__ == "__main__":
    sys.exit(main())
