"""Images filled by a task: staged bytes, files from the web, and what becomes of what goes wrong."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.conftest import Appliance, running, wait_for
from tests.contracts import hostile_images
from tests.contracts.web_server import Web, serving
from tests.unit.drivers.storage.test_ova import OVF

BYTES = "application/octet-stream"


@pytest.fixture(scope="module")
def server() -> Iterator[Web]:
    with serving() as made:
        yield made


@pytest.fixture
def web(server: Web) -> Web:
    server.files.clear()
    server.redirects.clear()
    server.asked.clear()
    server.held, server.tag = None, '"one"'
    return server


@pytest.fixture(scope="module")
def appliance(tmp_path_factory: pytest.TempPathFactory, server: Web) -> Iterator[Appliance]:
    with running(
        tmp_path_factory.mktemp("state"), images__web_download_networks=["127.0.0.1/32"],
        images__web_download_ports=[server.port, 80],
    ) as made:  # fmt: skip
        yield made


def new(appliance: Appliance, disk_format: str = "raw", **more: Any) -> str:
    body = {"name": "i", "disk_format": disk_format, "container_format": "bare", **more}
    answer = appliance.post("/image/v2/images", body)
    assert answer.status_code == 201, answer.text
    return str(answer.json["id"])


def stage(appliance: Appliance, image_id: str, data: bytes, **more: Any) -> Any:
    return appliance.call("PUT", f"/image/v2/images/{image_id}/stage", data=data, content_type=BYTES, **more)


def begin(appliance: Appliance, image_id: str, method: str = "glance-direct", **more: Any) -> Any:
    uri = {"uri": more.pop("uri")} if "uri" in more else {}
    return appliance.post(f"/image/v2/images/{image_id}/import", {"method": {"name": method, **uri}, **more})


def shown(appliance: Appliance, image_id: str) -> dict[str, Any]:
    return dict(appliance.get(f"/image/v2/images/{image_id}").json)


def ended(appliance: Appliance, image_id: str) -> dict[str, Any]:
    """The image once its import is over, which the task tells last."""
    where = f"/image/v2/images/{image_id}/tasks"
    wait_for(lambda: appliance.get(where).json["tasks"][0]["status"] in ("success", "failure"))
    return shown(appliance, image_id)


def data_of(appliance: Appliance, image_id: str) -> bytes:
    with appliance.get(f"/image/v2/images/{image_id}/file") as answer:
        return bytes(answer.data)


def staged(appliance: Appliance) -> list[str]:
    return [path.name for path in (appliance.built.settings.state_path / "images-staging").iterdir()]


def converted(tmp_path: Path, kind: str, data: bytes, *options: str) -> bytes:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(data)
    words = ["qemu-img", "convert", "-f", "raw", "-O", kind, *options, str(source), str(target)]
    subprocess.run(words, check=True, timeout=60)
    return target.read_bytes()


def test_what_was_staged_is_imported(appliance: Appliance) -> None:
    image, data = new(appliance), bytes(range(256)) * 9000
    assert stage(appliance, image, data).status_code == 204
    there = shown(appliance, image)
    assert (there["status"], there["size"], there["checksum"]) == ("uploading", len(data), None)
    answer = begin(appliance, image)
    assert answer.status_code == 202
    assert answer.data == b""
    there = ended(appliance, image)
    assert (there["status"], there["size"], there["stores"]) == ("active", len(data), "local")
    assert there["checksum"] == hashlib.md5(data).hexdigest()
    assert there["os_hash_value"] == hashlib.sha512(data).hexdigest()
    assert (there["os_glance_importing_to_stores"], there["os_glance_failed_import"]) == ("", "")
    assert data_of(appliance, image) == data
    assert staged(appliance) == []
    task = appliance.get(f"/image/v2/images/{image}/tasks").json["tasks"][0]
    assert task["request_id"] == answer.headers["x-openstack-request-id"]
    assert task["input"]["import_req"]["method"]["name"] == "glance-direct"
    assert (task["type"], task["status"], task["image_id"]) == ("api_image_import", "success", image)


def test_a_file_of_the_web_is_imported(appliance: Appliance, web: Web) -> None:
    image, web.files["/disk"] = new(appliance), b"x" * 300_000
    web.redirects["/moved"] = "/disk"
    assert begin(appliance, image, "web-download", uri=web.url("/moved"), stores=["local"]).status_code == 202
    there = ended(appliance, image)
    assert there["status"] == "active"
    assert data_of(appliance, image) == web.files["/disk"]
    assert staged(appliance) == []


def test_a_transfer_that_is_cut_off_is_repeated_by_itself(appliance: Appliance, web: Web) -> None:
    image, web.files["/disk"], web.cut_after = new(appliance), b"y" * 300_000, 100_000
    begin(appliance, image, "web-download", uri=web.url("/disk"))
    assert ended(appliance, image)["status"] == "active"
    assert [asked[1].get("Range", "")[:6] for asked in web.asked] == ["", "bytes="]
    assert data_of(appliance, image) == web.files["/disk"]


@pytest.mark.parametrize("disk_format", ["vmdk", "vdi", "vhd", "vhdx"])
def test_formats_that_run_badly_are_converted(appliance: Appliance, tmp_path: Path, disk_format: str) -> None:
    content = bytes(range(256)) * 4096
    data = converted(tmp_path, {"vhd": "vpc"}.get(disk_format, disk_format), content)
    image = new(appliance, disk_format)
    assert stage(appliance, image, data).status_code == 204
    begin(appliance, image)
    there = ended(appliance, image)
    assert (there["status"], there["disk_format"]) == ("active", "qcow2")
    path = appliance.built.store.path(image)
    assert path is not None
    words = ["qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(path), str(tmp_path / "back")]
    subprocess.run(words, check=True, timeout=60)
    assert (tmp_path / "back").read_bytes()[: len(content)] == content


def ova(tmp_path: Path, disk: bytes, *more: tuple[str, bytes]) -> bytes:
    with tarfile.open(tmp_path / "a.ova", "w") as tar:
        for name, data in (("m.ovf", OVF.format(name="disk.vmdk", more="").encode()), ("disk.vmdk", disk), *more):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return (tmp_path / "a.ova").read_bytes()


def test_of_an_ova_the_disk_is_taken(appliance: Appliance, tmp_path: Path) -> None:
    disk = converted(tmp_path, "vmdk", b"z" * (1 << 20), "-o", "subformat=streamOptimized")
    image = new(appliance, "vmdk", container_format="ova")
    assert stage(appliance, image, ova(tmp_path, disk)).status_code == 204
    begin(appliance, image)
    there = ended(appliance, image)
    assert (there["status"], there["disk_format"], there["container_format"]) == ("active", "qcow2", "bare")
    assert there["virtual_size"] == 1 << 20
    assert staged(appliance) == []


def test_an_ova_that_is_not_what_its_manifest_says_is_refused(appliance: Appliance, tmp_path: Path) -> None:
    disk = converted(tmp_path, "vmdk", b"z" * (1 << 20), "-o", "subformat=streamOptimized")
    described = hashlib.sha256(OVF.format(name="disk.vmdk", more="").encode()).hexdigest()
    manifest = f"SHA256(m.ovf)= {described}\nSHA256(disk.vmdk)= {hashlib.sha256(b'other').hexdigest()}\n"
    image = new(appliance, "vmdk", container_format="ova")
    assert stage(appliance, image, ova(tmp_path, disk, ("m.mf", manifest.encode()))).status_code == 204
    begin(appliance, image)
    assert ended(appliance, image)["status"] == "queued"
    told = appliance.get(f"/image/v2/images/{image}/tasks").json["tasks"][0]["message"]
    assert "another disk.vmdk than its manifest says" in told
    assert staged(appliance) == []


HOSTILE = [name for name in hostile_images.KINDS if not name.startswith("empty")]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_not_imported(appliance: Appliance, tmp_path: Path, name: str) -> None:
    disk_format, file = hostile_images.make(tmp_path, name)
    image = new(appliance, disk_format)
    assert stage(appliance, image, file.read_bytes()).status_code == 204
    begin(appliance, image)
    there = ended(appliance, image)
    assert (there["status"], there["os_glance_failed_import"], there["size"]) == ("queued", "local", None)
    told = appliance.get(f"/image/v2/images/{image}/tasks").json["tasks"][0]["message"]
    assert told
    assert hostile_images.SECRET not in told
    assert str(appliance.built.settings.state_path) not in told
    assert staged(appliance) == []
    assert image not in appliance.built.store.ids()


def test_an_ova_with_a_hostile_disk_is_not_imported(appliance: Appliance, tmp_path: Path) -> None:
    image = new(appliance, "vmdk", container_format="ova")
    stage(appliance, image, ova(tmp_path, hostile_images.FLAT.encode()))
    begin(appliance, image)
    assert ended(appliance, image)["status"] == "queued"
    assert staged(appliance) == []


def test_a_failed_import_may_be_repeated(appliance: Appliance, web: Web) -> None:
    image = new(appliance)
    begin(appliance, image, "web-download", uri=web.url("/nothing"))
    there = ended(appliance, image)
    assert (there["status"], there["os_glance_failed_import"]) == ("queued", "local")
    told = appliance.get(f"/image/v2/images/{image}/tasks").json["tasks"][0]
    assert (told["status"], "404" in told["message"]) == ("failure", True)
    web.files["/nothing"] = b"now"
    assert begin(appliance, image, "web-download", uri=web.url("/nothing")).status_code == 202
    wait_for(lambda: shown(appliance, image)["status"] == "active")
    assert shown(appliance, image)["os_glance_failed_import"] == ""


@pytest.mark.parametrize(
    "uri",
    ["http://169.254.169.254/openstack", "http://10.0.0.1/", "http://[::1]/", "http://[::ffff:169.254.169.254]/",
     "file:///etc/passwd",
     "http://127.0.0.1:8774/", "http://127.0.0.2/", "http://user:secret@example.org/", "", "ftp://example.org/x"],
)  # fmt: skip
def test_an_address_inside_is_refused_at_once(appliance: Appliance, uri: str) -> None:
    image = new(appliance)
    answer = begin(appliance, image, "web-download", uri=uri)
    assert answer.status_code == 400, answer.text
    assert "uri" in answer.text.lower()
    assert shown(appliance, image)["status"] == "queued"


def test_a_redirect_inside_is_refused(appliance: Appliance, web: Web) -> None:
    image = new(appliance)
    web.redirects["/trap"] = "http://169.254.169.254/openstack"
    begin(appliance, image, "web-download", uri=web.url("/trap"))
    assert ended(appliance, image)["status"] == "queued"
    told = appliance.get(f"/image/v2/images/{image}/tasks").json["tasks"][0]["message"]
    assert "does not pass filtering" in told


def test_an_image_deleted_while_it_comes_ends_the_transfer(appliance: Appliance, web: Web) -> None:
    image, web.files["/slow"], web.held = new(appliance), b"s" * (4 << 20), threading.Event()
    begin(appliance, image, "web-download", uri=web.url("/slow"))
    wait_for(lambda: web.asked)
    assert appliance.call("DELETE", f"/image/v2/images/{image}").status_code == 204
    web.held.set()
    wait_for(lambda: appliance.get("/image/v2/tasks?status=processing").json["tasks"] == [])
    assert staged(appliance) == []
    assert image not in appliance.built.store.ids()


def test_states_that_do_not_fit_are_told(appliance: Appliance, web: Web) -> None:
    image = new(appliance)
    assert begin(appliance, image).status_code == 409
    assert begin(appliance, image, "copy-image").status_code == 409
    assert stage(appliance, image, b"x").status_code == 204
    assert stage(appliance, image, b"x").status_code == 409
    assert begin(appliance, image, "web-download", uri=web.url("/x")).status_code == 409
    upload = appliance.call("PUT", f"/image/v2/images/{image}/file", data=b"x", content_type=BYTES)
    assert upload.status_code == 409
    begin(appliance, image)
    ended(appliance, image)
    answer = begin(appliance, image, "copy-image", all_stores=True)
    assert answer.status_code == 400
    assert "every store" in answer.text


@pytest.mark.parametrize(
    "body",
    [{}, {"method": "glance-direct"}, {"method": {}}, {"method": {"name": "rsync"}},
     {"method": {"name": "web-download"}},
     {"method": {"name": "glance-direct"}, "stores": ["nowhere"]}, {"method": {"name": "glance-direct"}, "stores": []},
     {"method": {"name": "glance-direct"}, "stores": ["local"], "all_stores": True},
     {"method": {"name": "glance-direct", "uri": "http://example.org"}}],
)  # fmt: skip
def test_a_malformed_request_is_refused(appliance: Appliance, body: dict[str, Any]) -> None:
    image = new(appliance)
    stage(appliance, image, b"x")
    assert appliance.post(f"/image/v2/images/{image}/import", body).status_code == 400
    assert shown(appliance, image)["status"] == "uploading"


def test_formats_must_be_known_before(appliance: Appliance) -> None:
    image = appliance.post("/image/v2/images", {"name": "x"}).json["id"]
    assert stage(appliance, image, b"x").status_code == 204
    assert begin(appliance, image).status_code == 409


def test_other_projects_may_not(appliance: Appliance) -> None:
    other, image = appliance.member("stranger"), new(appliance, visibility="public")
    assert stage(appliance, image, b"x", token=other).status_code == 403
    body = {"method": {"name": "glance-direct"}}
    assert appliance.post(f"/image/v2/images/{image}/import", body, token=other).status_code == 403
    assert appliance.get("/image/v2/tasks", token=other).status_code == 403
    stage(appliance, image, b"raw bytes")
    begin(appliance, image)
    assert ended(appliance, image)["status"] == "active"
    where = f"/image/v2/images/{image}/tasks"
    assert len(appliance.get(where).json["tasks"]) == 1
    assert appliance.get(where, token=other).json["tasks"] == [], "where it came from is its owner's to know"


def test_what_is_staged_of_another_kind_is_refused(appliance: Appliance) -> None:
    image = new(appliance)
    path = f"/image/v2/images/{image}/stage"
    assert appliance.call("PUT", path, data=b"x", content_type="text/plain").status_code == 415
    assert shown(appliance, image)["status"] == "queued"


def test_the_older_way_makes_the_image_too(appliance: Appliance, web: Web) -> None:
    web.files["/old"] = b"old way"
    given = {"import_from": web.url("/old"), "import_from_format": "raw",
             "image_properties": {"name": "by task", "container_format": "bare", "colour": "red"}}  # fmt: skip
    answer = appliance.post("/image/v2/tasks", {"type": "import", "input": given})
    assert answer.status_code == 201, answer.text
    task = answer.json["id"]
    wait_for(lambda: appliance.get(f"/image/v2/tasks/{task}").json["status"] == "success")
    told = appliance.get(f"/image/v2/tasks/{task}").json
    image = shown(appliance, told["result"]["image_id"])
    assert (image["status"], image["name"], image["colour"]) == ("active", "by task", "red")
    assert told["input"]["import_from"] == web.url("/old")
    for wrong in ({"import_from": "http://dummy.qcow2:1/"}, {"import_from_format": "vmdk",
                  "image_properties": {"disk_format": "raw"}}, {"image_properties": {"status": "active"}}):  # fmt: skip
        answer = appliance.post("/image/v2/tasks", {"type": "import", "input": {**given, **wrong}})
        assert answer.status_code in (400, 403), answer.text
    assert appliance.get("/image/v2/tasks/00000000-0000-4000-8000-000000000000").status_code == 404


def test_tasks_are_listed_in_pages(appliance: Appliance) -> None:
    for _ in range(3):
        image = new(appliance)
        stage(appliance, image, b"x")
        begin(appliance, image)
        ended(appliance, image)
    first = appliance.get("/image/v2/tasks?limit=2&status=success").json
    assert len(first["tasks"]) == 2
    second = appliance.get(f"/image{first['next']}&status=success").json
    assert not {task["id"] for task in first["tasks"]} & {task["id"] for task in second["tasks"]}
    assert appliance.get("/image/v2/tasks?status=lost").status_code == 400
    assert appliance.get("/image/v2/tasks?sort_key=input").status_code == 400


def test_stores_and_methods_are_told(appliance: Appliance) -> None:
    assert [store["id"] for store in appliance.get("/image/v2/info/stores").json["stores"]] == ["local"]
    assert appliance.get("/image/v2/info/stores/detail").json["stores"][0]["type"] == "file"
    made = appliance.post("/image/v2/images", {"name": "x"})
    assert made.headers["OpenStack-image-import-methods"] == "glance-direct,web-download"
    methods = appliance.get("/image/v2/info/import").json["import-methods"]["value"]
    assert methods == ["glance-direct", "web-download"]
    image = new(appliance)
    assert appliance.call("DELETE", f"/image/v2/stores/local/{image}").status_code == 400


def test_the_web_can_be_switched_off(tmp_path: Path) -> None:
    with running(tmp_path, images__web_download=False) as appliance:
        assert appliance.get("/image/v2/info/import").json["import-methods"]["value"] == ["glance-direct"]
        assert begin(appliance, new(appliance), "web-download", uri="http://example.org/").status_code == 400


def test_a_result_that_is_too_large_is_not_kept(tmp_path: Path) -> None:
    """A disk of a few kilobytes that would become more than an image may have."""
    content = tmp_path / "content"
    content.write_bytes(b"bomb" * (8 << 18))
    small = tmp_path / "small"
    words = [
        "qemu-img",
        "convert",
        "-f",
        "raw",
        "-O",
        "vmdk",
        "-o",
        "subformat=streamOptimized",
        str(content),
        str(small),
    ]
    subprocess.run(words, check=True, timeout=60)
    with running(tmp_path / "state") as appliance:
        staging: Any = appliance.built.store.staging
        staging._room = type(staging._room)(staging._room.directory, max_size=1 << 20, reserve=0)
        image = new(appliance, "vmdk")
        assert small.stat().st_size < 1 << 20
        assert stage(appliance, image, small.read_bytes()).status_code == 204
        begin(appliance, image)
        assert ended(appliance, image)["status"] == "queued"
        assert "larger" in appliance.get(f"/image/v2/images/{image}/tasks").json["tasks"][0]["message"]
        assert staged(appliance) == []


def test_after_a_start_what_nobody_goes_on_with_is_queued(tmp_path: Path) -> None:
    with running(tmp_path) as appliance:
        lost, kept = new(appliance), new(appliance)
        for image in (lost, kept):
            stage(appliance, image, b"x")
        appliance.built.store.staging.place(lost).unlink()
        (tmp_path / "images-staging" / "00000000-0000-4000-8000-000000000000.part").write_bytes(b"x")
    with running(tmp_path) as appliance:
        assert (shown(appliance, lost)["status"], shown(appliance, kept)["status"]) == ("queued", "uploading")
        assert staged(appliance) == [kept]
        begin(appliance, kept)
        assert ended(appliance, kept)["status"] == "active"
