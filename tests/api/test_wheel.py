"""The wheel carries all that a running appliance needs: migrations, templates, static files, the guest's files."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_VISIT = """
import sys
from pathlib import Path
import novalite
assert Path(novalite.__file__).is_relative_to(sys.argv[1]), novalite.__file__
from novalite import assets, settings
from novalite.appliance.build import prepare
from novalite.appliance.engine import Engine
from novalite.appliance.web import application
from novalite.cloud.identity import credentials
assert assets.migrations().is_relative_to(sys.argv[1])
loaded, _ = settings.load(arguments={"state_dir": sys.argv[2], "compute.driver": "fake"}, environment={})
engine = Engine(prepare(loaded))
client = application(engine).test_client()
page = client.get("/login")
assert page.status_code == 200 and "NovaLite" in page.text
for name in ("static/novnc/core/rfb.js", "static/ui/style.css"):
    assert client.get("/" + name).status_code == 200, name
from novalite.drivers.storage import guest_image
assert (Path(guest_image.__file__).parent / "guest" / "rc").exists()
engine.stop()
print("complete")
"""


def test_an_unpacked_wheel_serves_pages_of_its_own(tmp_path: Path) -> None:
    wheel = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(tmp_path)]
    subprocess.run([*wheel, str(ROOT)], check=True, timeout=120)
    (file,) = tmp_path.glob("*.whl")
    unpacked = tmp_path / "unpacked"
    zipfile.ZipFile(file).extractall(unpacked)
    done = subprocess.run(
        [sys.executable, "-c", _VISIT, str(unpacked), str(tmp_path / "state")],
        env={"PYTHONPATH": str(unpacked), "PATH": "/usr/bin:/bin"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip().endswith("complete"), done.stderr[-3000:]
