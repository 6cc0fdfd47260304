"""compose.yaml: every service pinned, without rights that it does not need, its mounts there."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from rig import docker_folder as docker
from rig import grafana

if TYPE_CHECKING:
    from pathlib import Path

COMPOSE = docker.compose()
GATEWAY = yaml.safe_load((docker.DOCKER / "gateway/compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PINNED = re.compile(r"[a-z/-]+:[0-9][\w.-]*@sha256:[0-9a-f]{64}")
OURS = re.compile(r"egret-[a-z]+:\$\{EGRET_VERSION:-[0-9.]+\}")
KEYS = {
    *("restart", "read_only", "cap_drop", "security_opt", "pids_limit", "group_add", "logging"),
    *("image", "build", "user", "environment", "command", "volumes", "tmpfs", "secrets", "ports"),
    *("networks", "depends_on", "healthcheck", "profiles", "stop_grace_period"),
}
# Ports of a container that are published: all of them encrypted.
ENCRYPTED = {"broker": "8883", "front": "8443", "grafana": "3000"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_pinned_and_bound(name: str) -> None:
    service = SERVICES[name]
    assert service.keys() <= KEYS
    pattern = OURS if "build" in service else PINNED
    assert pattern.fullmatch(service["image"]), service["image"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"
    assert service["pids_limit"] > 0
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}


@pytest.mark.parametrize("name", SERVICES)
def test_nobody_is_root(name: str) -> None:
    user = SERVICES[name].get("user")
    if user is None:  # then its Dockerfile says so
        users = [text for step, text in docker.steps(f"{name}.Dockerfile") if step == "USER"]
        user = users[-1]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)


@pytest.mark.parametrize("name", SERVICES)
def test_health_is_checked(name: str) -> None:
    service = SERVICES[name]
    if "build" in service:
        assert "HEALTHCHECK" in dict(docker.steps(f"{name}.Dockerfile"))
    else:
        assert service["healthcheck"]["test"][0] == "CMD"


def test_the_gateways_service_is_bound_in_the_same_way() -> None:
    (service,) = GATEWAY["services"].values()
    assert OURS.fullmatch(service["image"])
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    text = (docker.DOCKER / "gateway/gateway.toml").read_text("utf-8")
    assert "secrets" not in {*service, *GATEWAY}, "its bundle is kept with its data"
    (data,) = [mount.split(":")[1] for mount in service["volumes"] if mount.startswith("gateway-")]
    kept = tomllib.loads(text)["broker"]
    assert all(kept[key].startswith(f"{data}/") for key in ("ca_file", "credentials"))
    (device,) = service["devices"]
    assert f'port = "{device.rpartition(":")[2]}"' in text
    assert "ports" not in service


def test_what_is_waited_for_has_a_health_check() -> None:
    for service in SERVICES.values():
        awaited = service.get("depends_on", {})
        for name in awaited if isinstance(awaited, dict) else ():
            assert "healthcheck" in SERVICES[name]


def test_every_path_that_is_mounted_is_there_and_read_only() -> None:
    volumes = set()
    for service in SERVICES.values():
        for mount in service.get("volumes", []):
            source, target, *mode = mount.split(":")
            if source.startswith("."):
                assert (docker.DOCKER / source).exists(), source
                assert mode == ["ro"], mount
            else:
                volumes.add(source)
            assert target.startswith("/")
    assert volumes == COMPOSE["volumes"].keys()


def test_only_encrypted_ports_are_published() -> None:
    published = {
        name: [port.rpartition(":")[2] for port in service["ports"]]
        for name, service in SERVICES.items()
        if "ports" in service
    }
    assert published == {name: [port] for name, port in ENCRYPTED.items()}


def test_the_network_between_the_services_has_no_way_out() -> None:
    assert COMPOSE["networks"]["line"]["internal"] is True
    for name, service in SERVICES.items():
        assert "line" in service["networks"]
        assert (len(service["networks"]) > 1) == (name in ENCRYPTED)


def test_secrets_are_files_and_are_used_by_somebody() -> None:
    secrets = COMPOSE["secrets"]
    used = {secret for service in SERVICES.values() for secret in service.get("secrets", [])}
    assert used == secrets.keys()
    for name, secret in secrets.items():
        assert secret == {"file": f"./secrets/{name}"}
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            if re.search("PASSWORD|TOKEN|_KEY$", key):
                assert value.startswith("/run/secrets/"), key


def test_every_secret_that_is_named_is_given() -> None:
    """What a service's settings read from /run/secrets is a secret of that service."""
    named = re.compile(r"/run/secrets/(\w+)")
    files = {
        "broker": ["broker/run.sh"],
        "front": ["front/nginx.conf"],
        "aggregator": ["aggregator/aggregator.toml"],
        "grafana": [
            "grafana/provisioning/datasources/api.yaml",
            "grafana/provisioning/datasources/influxdb.yaml",
        ],
    }
    for name, service in SERVICES.items():
        text = json.dumps([service.get("environment", {}), service.get("command", [])])
        text += "".join((docker.DOCKER / path).read_text("utf-8") for path in files.get(name, []))
        assert set(named.findall(text)) == set(service.get("secrets", [])), name


def test_centre_and_broker_share_what_enrolment_writes_and_the_broker_only_reads() -> None:
    settings = tomllib.loads((docker.DOCKER / "aggregator/aggregator.toml").read_text("utf-8"))
    enrolment = settings["enrolment"]
    assert f"enrolment:{enrolment['folder']}" in SERVICES["aggregator"]["volumes"]
    assert f"enrolment:{enrolment['folder']}:ro" in SERVICES["broker"]["volumes"]
    assert f"broker-data:{enrolment['broker_data']}" in SERVICES["broker"]["volumes"]
    assert settings["broker"]["host"] in enrolment["names"], "its certificate bears both names"
    # A new volume takes owner and modes of the image's folder; the broker is of its group.
    made = dict(docker.steps("aggregator.Dockerfile"))["RUN"]
    assert f"install -d -o egret -g egret -m 2750 {enrolment['folder']}" in made
    (group,) = re.findall(r"groupadd --gid (\d+) egret", made)
    assert SERVICES["broker"]["group_add"] == [group]
    run = (docker.DOCKER / "broker/run.sh").read_text("utf-8")
    assert f'FOLDER="${{1:-{enrolment["folder"]}}}"' in run


def test_the_hosts_in_settings_are_services() -> None:
    sources = "".join(
        path.read_text("utf-8") for path in (grafana.PROVISIONING / "datasources").glob("*.yaml")
    )
    hosts = set(re.findall(r"https://([a-z]+):", sources))
    nginx = (docker.DOCKER / "front/nginx.conf").read_text("utf-8")
    hosts |= set(re.findall(r"proxy_pass http://([a-z]+):8420", nginx))
    assert hosts == {"front", "influxdb", "aggregator"}
    assert hosts <= SERVICES.keys()


def test_grafana_judges_nothing() -> None:
    assert SERVICES["grafana"]["environment"]["GF_UNIFIED_ALERTING_ENABLED"] == "false"


def test_the_example_of_the_environment_names_every_variable() -> None:
    example = (docker.DOCKER / ".env.example").read_text("utf-8")
    told = dict(line.split("=", 1) for line in example.splitlines() if line[:1].isalpha())
    text = (docker.DOCKER / "compose.yaml").read_text("utf-8")
    used = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", text))
    assert told.pop("COMPOSE_PROJECT_NAME") == "egret"
    assert told == used, "what the example shows is what leaving it out gives"


@pytest.mark.system
@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="docker-compose is not here")
@pytest.mark.parametrize("profile", ["", "postgresql"])
def test_a_compose_program_reads_it(tmp_path: Path, profile: str) -> None:
    made = docker.prepared(tmp_path)
    shutil.copy(made / ".env.example", made / ".env")
    options = ["--profile", profile] if profile else []
    done = docker.run("docker-compose", *options, "config", cwd=made)
    assert done.returncode == 0, done.stderr
    text = (made / "compose.yaml").read_text("utf-8")
    (made / "compose.yaml").write_text(text.replace("read_only: true", "read_onyl: true"))
    broken = docker.run("docker-compose", *options, "config", cwd=made)
    assert broken.returncode == 1
