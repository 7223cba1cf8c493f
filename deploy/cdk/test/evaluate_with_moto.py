"""Evaluates templates with moto's CloudFormation, and prints their functions as JSON.

usage: evaluate_with_moto.py PARAMETERS TEMPLATE...

PARAMETERS is a JSON object with values of the parameters, for the templates that have them. AWS's
own translator converts serverless functions. Both are independent of the constructs.
"""

import io
import json
import os
import pathlib
import sys
import zipfile

REGION = "eu-west-1"
os.environ.update(AWS_DEFAULT_REGION=REGION, AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="x")

import boto3
from moto import mock_aws
from moto.cloudformation import parsing
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

CODE = {"Bucket": "packages", "Key": "bootstrap.zip"}
# The resources of the last stack by logical id: properties without references, name, and ARN.
evaluated: dict[str, dict] = {}
names: dict[str, str] = {}
arns: dict[str, str] = {}

clean_json = parsing.clean_json
parse = parsing.parse_resource_and_generate_name
create = parsing.parse_and_create_resource


def clean_without_no_value(value, resources):
    """Removes `AWS::NoValue` from lists, which moto does not do."""
    cleaned = clean_json(value, resources)
    if isinstance(cleaned, list):
        return [item for item in cleaned if item is not None]
    return cleaned


def parse_and_record(logical_id, resource, resources):
    """Records the properties and the name of a resource before moto creates it."""
    found = parse(logical_id, resource, resources)
    if found:
        evaluated[logical_id] = json.loads(json.dumps(found[1]))
        # moto makes another name each time.
        found = (*found[:2], names.setdefault(logical_id, found[2]))
    return found


def create_and_record(logical_id, *arguments, **options):
    """Records the ARN of a role or a policy."""
    created = create(logical_id, *arguments, **options)
    if hasattr(created, "arn"):
        arns[logical_id] = created.arn
    return created


parsing.clean_json = clean_without_no_value
parsing.parse_resource_and_generate_name = parse_and_record
parsing.parse_and_create_resource = create_and_record


def translated(text: str, parameters: dict[str, str]) -> dict:
    """Returns a template without serverless resources, and with code that exists in moto."""
    template = yaml_parse(text)
    if template.get("Transform") == "AWS::Serverless-2016-10-31":
        template["Globals"]["Function"]["CodeUri"] = CODE
        template = Translator({}, Parser()).translate(template, parameters)
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Lambda::Function":
            code = {f"S3{key}": value for key, value in CODE.items()}
            resource["Properties"]["Code"] = code
    return template


def of_type(name: str) -> dict[str, dict]:
    """Returns the properties of all resources of a type."""
    return {key: it["Properties"] for key, it in evaluated.items() if it["Type"] == name}


def permissions(role: dict) -> list:
    """Returns the statements of a role, and the policies of AWS that it has."""
    documents = [it["PolicyDocument"] for it in role.get("Policies", [])]
    managed = []
    own = {arns[key]: it for key, it in of_type("AWS::IAM::ManagedPolicy").items()}
    for arn in role["ManagedPolicyArns"]:
        if arn in own:
            documents.append(own[arn]["PolicyDocument"])
        else:
            managed.append(arn)
    statements = [statement for document in documents for statement in document["Statement"]]
    return [sorted(statements, key=lambda it: it["Sid"]), sorted(managed)]


@mock_aws
def functions_of(path: str, parameters: dict[str, str]) -> dict:
    """Returns the functions of a template by their names."""
    evaluated.clear()
    names.clear()
    arns.clear()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("bootstrap", "")
    s3 = boto3.client("s3", REGION)
    s3.create_bucket(Bucket=CODE["Bucket"],
                     CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(**CODE, Body=packed.getvalue())
    template = translated(pathlib.Path(path).read_text(), parameters)
    known = template.get("Parameters", {})
    boto3.client("cloudformation", REGION).create_stack(
        StackName="stack",
        TemplateBody=json.dumps(template),
        Parameters=[{"ParameterKey": key, "ParameterValue": value}
                    for key, value in parameters.items() if key in known],
        Capabilities=["CAPABILITY_IAM"],
    )
    roles = {arns[key]: it for key, it in of_type("AWS::IAM::Role").items()}
    found = {}
    for function in of_type("AWS::Lambda::Function").values():
        name, role = function.pop("FunctionName"), roles[function.pop("Role")]
        group = function["LoggingConfig"].pop("LogGroup")
        # AWS's translator adds a tag with its name.
        function = {key: it for key, it in function.items() if key not in ("Code", "Tags") and it}
        found[name] = {
            "function": function,
            "permissions": permissions(role),
            "trust": role["AssumeRolePolicyDocument"],
            "invocation": [it for it in of_type("AWS::Lambda::Permission").values()
                           if it["FunctionName"] in (name, physical_name(name))],
            "logs": [log_group(it) for key, it in evaluated.items()
                     if it["Type"] == "AWS::Logs::LogGroup" and names[key] == group],
        }
    return found


def log_group(resource: dict) -> dict:
    """Returns a log group without its name, because the constructs leave it to CloudFormation."""
    properties = {key: it for key, it in resource["Properties"].items() if key != "LogGroupName"}
    return {**resource, "Properties": properties}


def physical_name(name: str) -> str:
    """Returns the ARN of a function."""
    return f"arn:aws:lambda:{REGION}:123456789012:function:{name}"


if __name__ == "__main__":
    values = json.loads(sys.argv[1])
    print(json.dumps([functions_of(path, values) for path in sys.argv[2:]]))
