//! The aspect on an app with every engine, strategy, network, key and set of excluded characters.

import { Aspects } from "aws-cdk-lib";
import { FunctionSource, RotateWithKeywheel } from "keywheel-cdk";
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createApp } from "./app";
import {
    Any,
    PROJECT,
    Template,
    createPackages,
    programOf,
    resourcesOf,
    statementsOf,
    synthesize,
} from "./support";

const SCHEDULE = "AWS::SecretsManager::RotationSchedule";
const APPLICATION = "AWS::Serverless::Application";

const before = synthesize(createApp()).templates;
const switched = createApp();
Aspects.of(switched).add(
    new RotateWithKeywheel({ functions: FunctionSource.fromFolder(createPackages()) }),
);
const { templates: after, outdir } = synthesize(switched);

/** A rotation before and after the switch. */
interface Rotation {
    stack: string;
    id: string;
    /** AWS's name of the engine and strategy, and its parameters with lower-case names. */
    aws: string;
    parameters: Any;
    schedule: Any;
    functionId: string;
}

const rotations = Object.entries(before).flatMap(([stack, template]) =>
    resourcesOf(template, SCHEDULE).map(([id, { Properties }]): Rotation => {
        const { Properties: schedule } = after[stack].Resources[id];
        const functionId = schedule.RotationLambdaARN["Fn::GetAtt"][0];
        if (Properties.HostedRotationLambda) {
            const { RotationType: aws, ...hosted } = Properties.HostedRotationLambda;
            const parameters = Object.fromEntries(
                Object.entries(hosted).map(([key, it]) => [
                    key[0].toLowerCase() + key.slice(1),
                    it,
                ]),
            );
            return { stack, id, aws, parameters, schedule, functionId };
        }
        const application =
            template.Resources[Properties.RotationLambdaARN["Fn::GetAtt"][0]].Properties;
        const mapping = application.Location.ApplicationId["Fn::FindInMap"][0];
        const arn: string = template.Mappings[mapping].aws.applicationId;
        const aws = arn.replace(/.*SecretsManagerRDS/, "").replace("Rotation", "");
        return { stack, id, aws, parameters: application.Parameters, schedule, functionId };
    }),
);

test("the_app_has_every_combination", () => {
    const combinations = new Set(
        rotations.map(({ aws, parameters }) =>
            JSON.stringify([
                aws,
                "endpoint" in parameters ? "application" : "hosted",
                parameters.vpcSubnetIds,
                "kmsKeyArn" in parameters,
                "masterSecretKmsKeyArn" in parameters,
                parameters.excludeCharacters,
            ]),
        ),
    );
    // For each engine and set of characters: 3 networks if AWS hosts the function and 2 otherwise,
    // and 2 combinations of keys for a single user and 3 for two users.
    assert.ok(combinations.size >= 5 * 3 * (3 + 2) * (2 + 3), `${combinations.size}`);
    assert.equal(new Set(rotations.map(({ aws }) => aws)).size, 10);
});

test("an_app_without_the_aspect_is_unchanged", () => {
    const folder = mkdtempSync(join(tmpdir(), "keywheel-"));
    execFileSync(process.execPath, [join(__dirname, "synthesize.js"), folder]);
    for (const [stack, template] of Object.entries(before)) {
        const text = readFileSync(join(folder, `${stack}.template.json`), "utf8");
        assert.deepEqual(template, JSON.parse(text));
    }
});

test("no_template_refers_to_functions_of_aws", () => {
    for (const template of Object.values(after)) {
        const text = JSON.stringify(template);
        assert.doesNotMatch(text, /serverlessrepo|AWS::Serverless|HostedRotationLambda|SARMapping/);
        assert.doesNotMatch(text, /Outputs\.|SecretsManagerRDS|AWS::SecretsManager-2024/);
        assert.equal(template.Transform, undefined);
    }
});

test("every_function_has_the_settings_of_its_rotation", () => {
    for (const { stack, id, aws, parameters, functionId } of rotations) {
        const template = after[stack];
        const lambda = template.Resources[functionId].Properties;
        const variables = lambda.Environment.Variables;
        const [, engine, users] = /^(.*)(Single|Multi)User$/.exec(aws)!;
        const isMultiUser = users === "Multi";
        const program = engine === "PostgreSQL" ? "postgres" : engine.toLowerCase();
        assert.equal(programOf(outdir, lambda.Code), `rotation-${program}`, id);
        assert.equal(variables.ROTATION_STRATEGY, isMultiUser ? "master-user" : "single-user", id);
        assert.equal(variables.EXCLUDE_CHARACTERS, parameters.excludeCharacters ?? "", id);
        assert.deepEqual(variables.SECRETS_MANAGER_ENDPOINT, parameters.endpoint ?? "", id);

        const { vpcSubnetIds, vpcSecurityGroupIds } = parameters;
        const network = vpcSubnetIds && {
            SubnetIds: vpcSubnetIds["Fn::Join"][1].filter((it: Any) => it !== ","),
            SecurityGroupIds: [vpcSecurityGroupIds],
        };
        assert.deepEqual(lambda.VpcConfig, network, id);

        const role = template.Resources[lambda.Role["Fn::GetAtt"][0]].Properties;
        const statements = statementsOf(role);
        assert.equal("ReachTheDatabase" in statements, vpcSubnetIds !== undefined, id);
        const listed = (arn: Any) => arn && [arn];
        const { kmsKeyArn, masterSecretArn, masterSecretKmsKeyArn } = parameters;
        const masterDecryption = statements.DecryptTheMasterSecret;
        assert.deepEqual(statements.DecryptTheSecrets?.Resource, listed(kmsKeyArn), id);
        assert.deepEqual(statements.ReadTheMasterSecret?.Resource, listed(masterSecretArn), id);
        assert.deepEqual(masterDecryption?.Resource, listed(masterSecretKmsKeyArn), id);
        const contexts = masterDecryption?.Condition.StringLike["kms:EncryptionContext:SecretARN"];
        assert.deepEqual(contexts, masterDecryption && [masterSecretArn, ""], id);
        assert.equal("ReadTheMasterSecret" in statements, isMultiUser, id);
    }
});

test("a_function_may_rotate_only_secrets_that_name_it", () => {
    const names = new Map<string, string>();
    for (const { stack, functionId } of rotations) {
        const lambda = after[stack].Resources[functionId].Properties;
        assert.ok(lambda.FunctionName.length <= 64, lambda.FunctionName);
        assert.equal(names.get(lambda.FunctionName) ?? functionId, functionId, "names are unique");
        names.set(lambda.FunctionName, functionId);
        const role = after[stack].Resources[lambda.Role["Fn::GetAtt"][0]].Properties;
        const { Condition } = statementsOf(role).RotateItsSecrets;
        const arn = JSON.stringify(
            Condition.StringEquals["secretsmanager:resource/AllowRotationLambdaArn"],
        );
        assert.ok(arn.includes(`:function:${lambda.FunctionName}"`), arn);
    }
    assert.equal(names.size, rotations.length, "each rotation has a function");
});

test("no_new_function_has_the_name_of_a_function_of_aws", () => {
    const old = rotations.flatMap(({ parameters: { functionName, rotationLambdaName } }) =>
        [functionName, rotationLambdaName].filter((it) => it !== undefined),
    );
    assert.ok(old.length > 100);
    for (const { stack, functionId } of rotations) {
        assert.ok(!old.includes(after[stack].Resources[functionId].Properties.FunctionName));
    }
});

test("every_schedule_stays_and_waits_for_the_permission", () => {
    for (const { stack, id, schedule, functionId } of rotations) {
        const { Properties: old } = before[stack].Resources[id];
        const { RotationLambdaARN: _, RotateImmediatelyOnUpdate: immediately, ...kept } = schedule;
        const { RotationLambdaARN: __, HostedRotationLambda: ___, ...rest } = old;
        const { RotateImmediatelyOnUpdate: wanted, ...unchanged } = rest;
        assert.deepEqual(kept, unchanged, id);
        assert.equal(immediately, wanted ?? false, id);
        const permissions = (after[stack].Resources[id].DependsOn ?? []).filter(
            (it) => after[stack].Resources[it].Type === "AWS::Lambda::Permission",
        );
        assert.equal(permissions.length, 1, id);
        const permission = after[stack].Resources[permissions[0]].Properties;
        assert.deepEqual(permission.FunctionName, { Ref: functionId });
        assert.deepEqual(
            permission.SourceAccount,
            before[stack] === before.Databases ? "123456789012" : { Ref: "AWS::AccountId" },
        );
    }
});

test("the_switch_replaces_no_schedule_in_cloudformation", () => {
    const script = `
import json, pathlib, cfnlint
schemas = pathlib.Path(cfnlint.__file__).parent / "data/schemas"
name = json.loads((schemas / "providers/us-east-1.json").read_text())["${SCHEDULE}"]
schema = json.loads((schemas / f"resources/{name}.json").read_text())
print(json.dumps(schema["createOnlyProperties"]))
`;
    const python = join(PROJECT, "target/tools/bin/python");
    const properties = JSON.parse(execFileSync(python, ["-c", script], { encoding: "utf8" }));
    // A change of these properties replaces the resource. The test above shows that they stay.
    assert.deepEqual(properties, ["/properties/SecretId"]);
});

test("nothing_else_changes", () => {
    for (const [stack, template] of Object.entries(before)) {
        const expected: Template["Resources"] = {};
        for (const [id, it] of Object.entries(template.Resources)) {
            if (it.Type === APPLICATION) assert.ok(!(id in after[stack].Resources), id);
            else if (it.Type !== SCHEDULE) expected[id] = it;
        }
        for (const [id, it] of Object.entries(expected)) {
            assert.deepEqual(after[stack].Resources[id], it, id);
        }
        const added = Object.keys(after[stack].Resources).filter(
            (id) => !(id in template.Resources),
        );
        const types = added.map((id) => after[stack].Resources[id].Type).sort();
        const count = rotations.filter((it) => it.stack === stack).length;
        assert.deepEqual(types, [
            ...Array(count).fill("AWS::IAM::Role"),
            ...Array(count).fill("AWS::Lambda::Function"),
            ...Array(count).fill("AWS::Lambda::Permission"),
            ...Array(count).fill("AWS::Logs::LogGroup"),
        ]);
        assert.deepEqual(after[stack].Outputs, template.Outputs);
    }
});

test("the_templates_pass_cfn_lint", () => {
    // These stacks have every engine, and every combination for both strategies. The stacks of the
    // other engines differ from them in names only, and cfn-lint needs half a minute for each.
    const files = ["Databases", "PostgreSQLSingle", "PostgreSQLMulti"].map((it) =>
        join(outdir, `${it}.template.json`),
    );
    // The rules about versions of databases and about zones concern the app, and change with time.
    const ignored = ["E3691", "W3691", "E3690", "W3690", "W3010"].flatMap((it) => ["-i", it]);
    const cfnLint = join(PROJECT, "target/tools/bin/cfn-lint");
    execFileSync(cfnLint, [...ignored, "--", ...files], {
        stdio: ["ignore", "inherit", "inherit"],
    });
});
