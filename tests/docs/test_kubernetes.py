"""The files for Kubernetes: what a cluster would refuse is found here. None of them was run on one.

`fixtures/kubernetes` has the kinds that the manifest uses out of Kubernetes 1.37's OpenAPI schema,
as kubernetes-validate 1.37.0 (Apache-2.0) has it: it refuses unknown fields. Descriptions are left
out.
"""

import copy
import json
from pathlib import Path

import command_line
import jsonschema
import pytest
import yaml
from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "docs" / "kubernetes"
SCHEMA = json.loads((ROOT / "tests" / "fixtures" / "kubernetes" / "schema-1.37.json").read_text())
KINDS = {
    ("v1", "Secret"): "core.v1.Secret",
    ("v1", "Service"): "core.v1.Service",
    ("v1", "PersistentVolumeClaim"): "core.v1.PersistentVolumeClaim",
    ("apps/v1", "StatefulSet"): "apps.v1.StatefulSet",
    ("batch/v1", "Job"): "batch.v1.Job",
}


@pytest.fixture(scope="module")
def manifest():
    parts = yaml.safe_load_all((FOLDER / "optnas.yaml").read_text())
    return {(part["kind"], part["metadata"]["name"]): part for part in parts}


def check(part):
    kind = KINDS[part["apiVersion"], part["kind"]]
    jsonschema.validate(part, SCHEMA | {"$ref": f"#/$defs/io.k8s.api.{kind}"})


def test_each_part_is_what_the_schema_of_its_kind_allows(manifest):
    assert len(manifest) == 5
    for part in manifest.values():
        check(part)


def test_the_schema_refuses_what_is_wrong(manifest):
    job = copy.deepcopy(manifest["Job", "optnas-workers"])
    job["spec"]["paralelism"] = 2
    with pytest.raises(jsonschema.ValidationError, match="paralelism"):
        check(job)


def pods(manifest):
    for kind, name in (("StatefulSet", "optnas-postgres"), ("Job", "optnas-workers")):
        yield manifest[kind, name]["spec"]["template"]["spec"]


def test_what_the_parts_name_is_there(manifest):
    for pod in pods(manifest):
        for container in pod["containers"]:
            for variable in container["env"]:
                if "valueFrom" in variable:
                    key = variable["valueFrom"]["secretKeyRef"]
                    assert key["key"] in manifest["Secret", key["name"]]["stringData"]
            volumes = {volume["name"] for volume in pod.get("volumes", [])}
            claimed = manifest["StatefulSet", "optnas-postgres"]["spec"]["volumeClaimTemplates"]
            for mount in container["volumeMounts"]:
                assert mount["name"] in volumes | {claim["metadata"]["name"] for claim in claimed}
        for volume in pod.get("volumes", []):
            assert (
                "PersistentVolumeClaim",
                volume["persistentVolumeClaim"]["claimName"],
            ) in manifest
    server = manifest["StatefulSet", "optnas-postgres"]["spec"]
    service = manifest["Service", server["serviceName"]]["spec"]
    assert service["selector"] == server["selector"]["matchLabels"]
    assert service["selector"] == server["template"]["metadata"]["labels"]
    url = manifest["Secret", "optnas-storage"]["stringData"]["url"]
    assert url == f"postgresql://optnas@{server['serviceName']}/optnas"


def test_a_worker_is_a_command_of_optnas(manifest, tmp_path, monkeypatch, capsys):
    """The options of `args` are those of `optnas run`, and its exit codes are those of the Job."""
    spec = manifest["Job", "optnas-workers"]["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    values = {"$(OPTNAS_URL)": f"sqlite:///{tmp_path}/s.db", "/app/study.py": "missing.py"}
    args = [values.get(arg, arg) for arg in container["args"]]
    monkeypatch.chdir(tmp_path)
    code = command_line.exit_code(args)
    assert "missing.py" in capsys.readouterr().err  # the options are known, the file isn't there
    rule = spec["podFailurePolicy"]["rules"][0]["onExitCodes"]
    assert code in rule["values"]
    assert rule["containerName"] == container["name"]
    assert 143 not in rule["values"]  # pre-empted: the trial is queued again
    assert spec["template"]["spec"]["restartPolicy"] == "Never"  # or a failure policy is refused
    assert "completions" not in spec


def test_the_image_has_what_the_manifest_runs(manifest):
    steps = DockerfileParser(str(FOLDER)).structure
    known = {"FROM", "RUN", "WORKDIR", "COPY", "USER", "ENTRYPOINT", "CMD", "COMMENT"}
    assert {step["instruction"] for step in steps} <= known
    found = {step["instruction"]: step["value"] for step in steps}
    copied = [step["value"] for step in steps if step["instruction"] == "COPY"]
    for source in (name for value in copied for name in value.split()[:-1]):
        assert (ROOT / source).exists(), source
    pod = manifest["Job", "optnas-workers"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert found["ENTRYPOINT"] == '["optnas"]'
    assert found["USER"] == str(pod["securityContext"]["runAsUser"])
    assert found["WORKDIR"] == container["volumeMounts"][0]["mountPath"]
    assert "studies/digits_cnn.py /app/study.py" in copied
    assert "torch==2.13.0" in (ROOT / "README.md").read_text()
