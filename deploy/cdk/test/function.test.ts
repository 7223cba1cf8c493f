//! The construct, and the packages that it accepts.

import {
    App,
    Duration,
    Environment,
    Fn,
    Stack,
    aws_ec2 as ec2,
    aws_kms as kms,
    aws_secretsmanager as sm,
} from "aws-cdk-lib";
import {
    FunctionSource,
    RotationEngine,
    RotationFunction,
    RotationFunctionProps,
    RotationStrategy,
} from "keywheel-cdk";
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import {
    Any,
    createPackages,
    programOf,
    resourcesOf,
    statementsOf,
    synthesize,
    templateOf,
} from "./support";

const functions = FunctionSource.fromFolder(createPackages());
const newStack = (env?: Environment) =>
    new Stack(new App({ analyticsReporting: false }), "Stack", { env });

function rotation(stack: Stack, props: Partial<RotationFunctionProps> = {}) {
    return new RotationFunction(stack, "Rotation", {
        functions,
        engine: RotationEngine.POSTGRESQL,
        ...props,
    });
}

/** Returns the only resource of a type. */
function only(template: Any, type: string): Any {
    const found = resourcesOf(template, type);
    assert.equal(found.length, 1, type);
    return found[0][1];
}

test("each_engine_and_strategy_deploys_its_program", () => {
    for (const engine of Object.values(RotationEngine)) {
        for (const strategy of Object.values(RotationStrategy)) {
            const stack = newStack();
            const isSingle = strategy === RotationStrategy.SINGLE_USER;
            const masterSecret = isSingle ? undefined : new sm.Secret(stack, "Master");
            rotation(stack, { engine, strategy, masterSecret });
            const { outdir, templates } = synthesize(stack.node.root as App);
            const { Properties } = only(templates.Stack, "AWS::Lambda::Function");
            const program = engine === "PostgreSQL" ? "postgres" : engine.toLowerCase();
            assert.equal(programOf(outdir, Properties.Code), `rotation-${program}`);
            assert.equal(Properties.Environment.Variables.ROTATION_STRATEGY, strategy);
            const name = `-${engine}${isSingle ? "SingleUser" : "MasterUser"}`;
            assert.ok(Properties.FunctionName.endsWith(name), Properties.FunctionName);
        }
    }
});

test("the_construct_uses_the_network_the_keys_and_the_master_secret", () => {
    const stack = newStack();
    const vpc = new ec2.Vpc(stack, "Vpc", { natGateways: 0 });
    const [key, otherKey, masterKey] = ["Key", "OtherKey", "MasterKey"].map(
        (id) => new kms.Key(stack, id),
    );
    const masterSecret = new sm.Secret(stack, "Master", { encryptionKey: masterKey });
    const strategy = RotationStrategy.ALTERNATING_USERS;
    const database = new ec2.SecurityGroup(stack, "Database", { vpc });
    const own = rotation(stack, {
        strategy,
        masterSecret,
        encryptionKeys: [key, otherKey],
        vpc,
        vpcSubnets: { subnetType: ec2.SubnetType.PRIVATE_ISOLATED },
    });
    database.connections.allowFrom(own, ec2.Port.tcp(5432));
    const template = templateOf(stack);
    const { VpcConfig } = only(template, "AWS::Lambda::Function").Properties;
    assert.equal(VpcConfig.SubnetIds.length, 2);
    const ingress = only(template, "AWS::EC2::SecurityGroupIngress").Properties;
    assert.deepEqual(VpcConfig.SecurityGroupIds, [ingress.SourceSecurityGroupId]);
    const statements = statementsOf(only(template, "AWS::IAM::Role").Properties);
    assert.deepEqual(
        statements.ReadTheMasterSecret.Resource,
        stack.resolve([masterSecret.secretArn]),
    );
    assert.deepEqual(
        statements.DecryptTheSecrets.Resource,
        stack.resolve([key.keyArn, otherKey.keyArn]),
    );
    assert.deepEqual(statements.DecryptTheMasterSecret.Resource, stack.resolve([masterKey.keyArn]));
});

test("a_list_of_imported_subnets_is_split_when_it_is_deployed", () => {
    const stack = newStack();
    const vpc = ec2.Vpc.fromVpcAttributes(stack, "Vpc", {
        vpcId: "vpc-1",
        availabilityZones: ["eu-west-1a"],
        privateSubnetIds: [Fn.importValue("subnets")],
    });
    const securityGroups = [ec2.SecurityGroup.fromSecurityGroupId(stack, "Group", "sg-1")];
    rotation(stack, { vpc, securityGroups });
    const { VpcConfig } = only(templateOf(stack), "AWS::Lambda::Function").Properties;
    assert.deepEqual(VpcConfig, {
        SubnetIds: { "Fn::Split": [",", { "Fn::ImportValue": "subnets" }] },
        SecurityGroupIds: ["sg-1"],
    });
});

test("a_function_rotates_several_secrets_with_one_permission", () => {
    const stack = newStack();
    const encryptionKey = new kms.Key(stack, "Key");
    const own = rotation(stack, { encryptionKeys: [encryptionKey] });
    for (const id of ["One", "Two"]) {
        own.rotate(new sm.Secret(stack, id, { encryptionKey }), {
            automaticallyAfter: Duration.days(9),
            rotateImmediatelyOnUpdate: false,
        });
    }
    const template = templateOf(stack);
    const permission = only(template, "AWS::Lambda::Permission");
    assert.deepEqual(permission.Properties.SourceAccount, { Ref: "AWS::AccountId" });
    // The CDK added no policy: the role has the permissions of the template.
    assert.deepEqual(resourcesOf(template, "AWS::IAM::Policy"), []);
    const schedules = resourcesOf(template, "AWS::SecretsManager::RotationSchedule");
    assert.equal(schedules.length, 2);
    for (const [, { Properties, DependsOn }] of schedules) {
        assert.equal(Properties.RotationLambdaARN["Fn::GetAtt"][1], "Arn");
        assert.equal(Properties.RotationRules.ScheduleExpression, "rate(9 days)");
        assert.equal(Properties.RotateImmediatelyOnUpdate, false);
        const [[id]] = resourcesOf(template, "AWS::Lambda::Permission");
        assert.deepEqual(DependsOn, [id]);
    }
});

test("a_master_secret_without_the_end_of_its_arn_is_matched_by_a_pattern", () => {
    const arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:master";
    const known = (stack: Stack) => sm.Secret.fromSecretCompleteArn(stack, "M", `${arn}-AbCdEf`);
    const found: [(stack: Stack) => sm.ISecret, string][] = [
        [known, `${arn}-AbCdEf`],
        [(stack) => sm.Secret.fromSecretPartialArn(stack, "M", arn), `${arn}-??????`],
        [(stack) => sm.Secret.fromSecretNameV2(stack, "M", "master"), `${arn}-??????`],
    ];
    for (const [create, expected] of found) {
        const stack = newStack({ account: "123456789012", region: "eu-west-1" });
        rotation(stack, {
            strategy: RotationStrategy.ALTERNATING_USERS,
            masterSecret: create(stack),
        });
        const statements = statementsOf(only(templateOf(stack), "AWS::IAM::Role").Properties);
        const [resource] = statements.ReadTheMasterSecret.Resource;
        // The ARN of a secret that is found by name has the partition as a reference.
        const parts = resource["Fn::Join"]?.[1] ?? [resource];
        const text = parts.map((it: Any) => (it.Ref === "AWS::Partition" ? "aws" : it)).join("");
        assert.equal(text, expected);
    }
});

test("a_secret_whose_key_the_function_may_not_use_is_rejected", () => {
    const stack = newStack();
    const [key, otherKey] = ["Key", "OtherKey"].map((id) => new kms.Key(stack, id));
    const secret = new sm.Secret(stack, "Secret", { encryptionKey: otherKey });
    const own = rotation(stack, { encryptionKeys: [key] });
    assert.throws(
        () => own.rotate(secret),
        /decrypt.*Stack\/Secret.*Stack\/OtherKey.*encryptionKeys/,
    );
    new RotationFunction(stack, "WithBoth", {
        functions,
        engine: RotationEngine.POSTGRESQL,
        encryptionKeys: [key, otherKey],
    }).rotate(secret);
    // The keys of a deployed function are its own.
    const deployed = new RotationFunction(stack, "Deployed", {
        functions: FunctionSource.fromDeployedTemplate(),
        engine: RotationEngine.POSTGRESQL,
    });
    deployed.rotate(new sm.Secret(stack, "Other", { encryptionKey: otherKey }));
    assert.equal(resourcesOf(templateOf(stack), "AWS::SecretsManager::RotationSchedule").length, 2);
});

test("the_schedule_keeps_the_logical_id_of_a_secret_rotation", () => {
    const secret = (stack: Stack) => new sm.Secret(stack, "Secret");
    const before = newStack();
    const vpc = new ec2.Vpc(before, "Vpc");
    new sm.SecretRotation(before, "Rotation", {
        application: sm.SecretRotationApplication.POSTGRES_ROTATION_SINGLE_USER,
        secret: secret(before),
        vpc,
        target: new ec2.Connections({ defaultPort: ec2.Port.tcp(5432) }),
    });
    const after = newStack();
    rotation(after).rotate(secret(after));
    const [old, current] = [before, after].map((stack) =>
        resourcesOf(templateOf(stack), "AWS::SecretsManager::RotationSchedule").map(([id]) => id),
    );
    assert.deepEqual(current, old);
});

test("a_deployed_function_can_be_used", () => {
    const stack = newStack();
    const own = rotation(stack, { functions: FunctionSource.fromDeployedTemplate() });
    own.rotate(new sm.Secret(stack, "Secret"));
    const template = templateOf(stack);
    assert.deepEqual(resourcesOf(template, "AWS::Lambda::Function"), []);
    assert.deepEqual(resourcesOf(template, "AWS::Lambda::Permission"), []);
    const { RotationLambdaARN } = only(
        template,
        "AWS::SecretsManager::RotationSchedule",
    ).Properties;
    assert.match(
        JSON.stringify(RotationLambdaARN),
        /:function:secrets-rotation-PostgreSQLSingleUser/,
    );
});

test("wrong_properties_are_rejected", () => {
    const master = (stack: Stack) => new sm.Secret(stack, "Master");
    const wrong: [(stack: Stack) => Partial<RotationFunctionProps>, RegExp][] = [
        [() => ({ strategy: RotationStrategy.ALTERNATING_USERS }), /needs masterSecret/],
        [(stack) => ({ masterSecret: master(stack) }), /does not use masterSecret/],
        [() => ({ securityGroups: [] }), /need vpc/],
        [
            () => ({ settings: { keepPreviousPassword: true } }),
            /does not use.*keepPreviousPassword/,
        ],
        [() => ({ settings: { architecture: "x86_64" } }), /built for arm64/],
        [
            () => ({ functions: FunctionSource.fromFolder("/nowhere") }),
            /create it with make package/,
        ],
    ];
    for (const [props, message] of wrong) {
        const stack = newStack();
        assert.throws(() => rotation(stack, props(stack)), message);
    }
    assert.throws(() => rotation(newStack()).connections, /outside of a VPC/);
});

test("the_architecture_is_that_of_the_package", () => {
    for (const architecture of ["arm64", "x86_64"] as const) {
        const stack = newStack();
        rotation(stack, { functions: FunctionSource.fromFolder(createPackages(architecture)) });
        const { Architectures } = only(templateOf(stack), "AWS::Lambda::Function").Properties;
        assert.deepEqual(Architectures, [architecture]);
    }
});

test("a_file_that_is_not_a_package_is_rejected", () => {
    const folder = mkdtempSync(join(tmpdir(), "keywheel-"));
    mkdirSync(join(folder, "rotation-postgres"));
    writeFileSync(join(folder, "rotation-postgres/bootstrap.zip"), "not a ZIP archive");
    const source = FunctionSource.fromFolder(folder);
    assert.throws(() => rotation(newStack(), { functions: source }), /has no file bootstrap/);
});
