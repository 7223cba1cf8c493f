"""Deploys the templates of deploy/sar to moto, which implements CloudFormation's functions itself.

For each application, it creates a stack from our template. Then it creates a stack from a
substitute for AWS's template, updates it to ours with the same parameters, and goes back. It
prints the states of the stacks as JSON.

The substitute for AWS's template has the parameters, the logical IDs and the output that are known
of it. Moto does not change the policies of a role in an update, so only the first stack shows them.
"""

import io
import json
import os
import pathlib
import warnings
import zipfile

os.environ.update(
    AWS_ACCESS_KEY_ID="test",
    AWS_SECRET_ACCESS_KEY="test",
    AWS_DEFAULT_REGION="eu-west-1",
    AWS_EC2_METADATA_DISABLED="true",
)
# Moto does not create alarms, metric filters and queries, and warns of each.
warnings.simplefilter("ignore")

import boto3  # noqa: E402
from moto import mock_aws  # noqa: E402
from samtranslator.parser.parser import Parser  # noqa: E402
from samtranslator.translator.translator import Translator  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "deploy/sar"
CODE = {"Bucket": "packages", "Key": "bootstrap.zip"}
# CDK's SecretRotation passes these parameters, and a name of up to 64 characters.
NAME = "n" * 64
ENDPOINT = "https://secretsmanager.eu-west-1.amazonaws.com"


def of_aws(application: str) -> dict:
    """Returns a substitute for AWS's template."""
    role = {
        "Type": "AWS::IAM::Role",
        "Properties": {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []}},
    }
    function = {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "FunctionName": {"Ref": "functionName"},
            "Code": {"S3Bucket": CODE["Bucket"], "S3Key": CODE["Key"]},
            "Handler": "lambda_function.lambda_handler",
            "Runtime": "python3.9",
            "Role": {"Fn::GetAtt": [f"{application}Role", "Arn"]},
        },
    }
    text, texts = {"Type": "String"}, {"Type": "CommaDelimitedList"}
    return {
        "Parameters": {
            "functionName": text,
            "endpoint": text,
            "vpcSubnetIds": texts,
            "vpcSecurityGroupIds": texts,
        },
        "Resources": {f"{application}Role": role, application: function},
        "Outputs": {"RotationLambdaARN": {"Value": {"Fn::GetAtt": [application, "Arn"]}}},
    }


def ours(application: str, parameters: dict) -> dict:
    """Returns our template as CloudFormation transforms it, with a package in S3."""
    template = yaml_parse((FOLDER / f"{application}.yaml").read_text())
    template["Globals"]["Function"]["CodeUri"] = f"s3://{CODE['Bucket']}/{CODE['Key']}"
    return Translator(managed_policy_map={}, sam_parser=Parser()).translate(template, parameters)


def state(application: str) -> dict:
    """Returns what the stack of an application is."""
    client = boto3.client("cloudformation")
    stack = client.describe_stacks(StackName=application)["Stacks"][0]
    function = boto3.client("lambda").get_function_configuration(FunctionName=NAME)
    role = function["Role"].split("/")[-1]
    policies = boto3.client("iam").list_role_policies(RoleName=role)["PolicyNames"]
    return {
        "status": stack["StackStatus"],
        "outputs": {o["OutputKey"]: o["OutputValue"] for o in stack["Outputs"]},
        "runtime": function["Runtime"],
        "variables": function.get("Environment", {}).get("Variables", {}),
        "policies": sorted(policies),
    }


def deploy(application: str, parameters: dict) -> list[dict]:
    """Deploys the templates, and returns the state of the stack after each deployment.

    The first one creates a stack from ours. The others create a stack from AWS's, update it to
    ours, and update it back.
    """
    client = boto3.client("cloudformation")
    request = {
        "StackName": application,
        "Parameters": [
            {"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()
        ],
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    }
    own, other = json.dumps(ours(application, parameters)), json.dumps(of_aws(application))
    client.create_stack(TemplateBody=own, **request)
    states = [state(application)]
    client.delete_stack(StackName=application)
    client.create_stack(TemplateBody=other, **request)
    states.append(state(application))
    for template in (own, other):
        client.update_stack(TemplateBody=template, **request)
        states.append(state(application))
    client.delete_stack(StackName=application)
    return states


def main() -> None:
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("bootstrap", "")
    found = {}
    with mock_aws():
        storage = boto3.client("s3")
        storage.create_bucket(
            Bucket=CODE["Bucket"],
            CreateBucketConfiguration={"LocationConstraint": "eu-west-1"},
        )
        storage.put_object(**CODE, Body=package.getvalue())
        network = boto3.client("ec2")
        vpc = network.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet = network.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
        group = network.create_security_group(GroupName="f", Description="f", VpcId=vpc)["GroupId"]
        parameters = {
            "functionName": NAME,
            "endpoint": ENDPOINT,
            "vpcSubnetIds": subnet,
            "vpcSecurityGroupIds": group,
        }
        for file in sorted(FOLDER.glob("*.yaml")):
            found[file.stem] = deploy(file.stem, parameters)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
