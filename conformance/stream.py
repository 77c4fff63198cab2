"""Run by the suites' own Python: reads a subunit stream and prints each test's end as a line of JSON."""

from __future__ import annotations

import json
import sys

import subunit  # type: ignore[import-not-found]
import testtools  # type: ignore[import-not-found]


def main() -> None:
    def tell(test: dict[str, object]) -> None:
        if test["status"] in ("exists", "inprogress") or test["id"] == "process-returncode":
            return
        details = test["details"]
        assert isinstance(details, dict)
        texts = {name: content.as_text() for name, content in details.items() if content.content_type.type == "text"}
        began, ended = test["timestamps"]  # type: ignore[misc]
        seconds = (ended - began).total_seconds() if began and ended else 0.0  # type: ignore[has-type]
        wanted = {name: text for name, text in texts.items() if name.startswith(("reason", "traceback"))}
        print(json.dumps({"id": test["id"], "status": test["status"], "seconds": seconds, "details": wanted}))

    result = testtools.StreamToDict(tell)
    result.startTestRun()
    subunit.ByteStreamToStreamResult(sys.stdin.buffer, non_subunit_name="stdout").run(result)
    result.stopTestRun()


if __name__ == "__main__":
    main()
