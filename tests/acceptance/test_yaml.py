"""The YAML in the docs is what Kubernetes and GitHub take, and calls commands that there are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from django.core.management import get_commands, load_command_class

PAGES = sorted((Path(__file__).parent.parent.parent / "docs").rglob("*.md"))
VERSION = "1.30"
DOCUMENTS = [
    (page.name, yaml.safe_load(text))
    for page in PAGES
    for text in re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
]


@pytest.mark.parametrize(
    "document", [found for _, found in DOCUMENTS if "kind" in found], ids=lambda found: found["metadata"]["name"]
)
def test_objects_of_kubernetes(document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, VERSION, strict=True)
    for container in _containers(document):
        for command in (container["command"], container.get("readinessProbe", {"exec": container})["exec"]["command"]):
            is_known(command)


def test_the_validator_finds_a_mistake() -> None:
    job, *_ = (found for _, found in DOCUMENTS if found.get("kind") == "Job")
    wrong = {**job, "spec": {**job["spec"], "backofLimit": 0}}
    with pytest.raises(kubernetes_validate.ValidationError, match="backofLimit"):
        kubernetes_validate.validate(wrong, VERSION, strict=True)


def _containers(document: dict[str, Any]) -> list[dict[str, Any]]:
    pod = document["spec"]["template"]["spec"]
    return [*pod["containers"], *pod.get("initContainers", [])]


@pytest.mark.parametrize("document", [found for _, found in DOCUMENTS if "jobs" in found])
def test_jobs_of_ci(document: dict[str, Any]) -> None:
    for job in document["jobs"].values():
        assert job.keys() == {"runs-on", "steps"}
        for step in job["steps"]:
            assert step.keys() in ({"run"}, {"uses"}, {"uses", "with"})
            for line in step.get("run", "").splitlines():
                is_known(re.sub(r"\$\{\{.*?\}\}", "x", line).split())


def is_known(command: list[str]) -> None:
    """Does a command of ours exist, and take these options?"""
    if command[:2] == ["sh", "-c"]:
        for part in command[2].split("||"):
            is_known(re.sub(r"\$\(\(.*?\)\)", "1", part).split())  # what the shell reckons
        return
    if "manage.py" not in command:
        return
    name, *words = command[command.index("manage.py") + 1 :]
    assert name in get_commands()
    load_command_class(get_commands()[name], name).create_parser("manage.py", name).parse_args(words)


def test_there_is_some() -> None:
    assert {found["kind"] for _, found in DOCUMENTS if "kind" in found} == {"Deployment", "Job"}
