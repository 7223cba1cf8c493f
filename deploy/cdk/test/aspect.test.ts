//! The aspect in apps with other stacks, stages, engines and aspects.

import {
    App,
    Aspects,
    CfnParameter,
    CfnResource,
    Fn,
    NestedStack,
    Stack,
    Stage,
    Tags,
    aws_ec2 as ec2,
    aws_iam as iam,
    aws_s3 as s3,
    aws_sam as sam,
    aws_secretsmanager as sm,
} from "aws-cdk-lib";
import { Annotations, Match } from "aws-cdk-lib/assertions";
import { Construct } from "constructs";
import { FunctionSource, RotateWithKeywheel, RotateWithKeywheelProps } from "keywheel-cdk";
import assert from "node:assert/strict";
import { test } from "node:test";
import { Any, createPackages, resourcesOf, statementsOf, synthesize, templateOf } from "./support";

const packages = createPackages();
const functions = FunctionSource.fromFolder(packages);
const FUNCTION = "AWS::Lambda::Function";
const SCHEDULE = "AWS::SecretsManager::RotationSchedule";
const APPLICATION = "AWS::Serverless::Application";

function newApp(context?: { [key: string]: Any }): App {
    return new App({ analyticsReporting: false, context });
}

function switchOver(scope: Construct, props: Partial<RotateWithKeywheelProps> = {}) {
    Aspects.of(scope).add(new RotateWithKeywheel({ functions, ...props }));
}

/** Adds a rotation by AWS's application, of a secret that can be in another stack. */
function addRotation(
    scope: Construct,
    options: { secret?: sm.ISecret; application?: sm.SecretRotationApplication } = {},
) {
    const vpc = new ec2.Vpc(scope, "Vpc", { natGateways: 0 });
    const target = new ec2.Connections({
        securityGroups: [new ec2.SecurityGroup(scope, "DatabaseGroup", { vpc })],
        defaultPort: ec2.Port.tcp(5432),
    });
    return new sm.SecretRotation(scope, "Rotation", {
        application: sm.SecretRotationApplication.POSTGRES_ROTATION_SINGLE_USER,
        secret: options.secret ?? new sm.Secret(scope, "Secret"),
        vpc,
        target,
        ...options,
    });
}

test("settings_apply_unless_the_rotation_sets_them", () => {
    const stack = new Stack(newApp(), "Stack");
    addRotation(stack);
    new sm.Secret(stack, "Hosted").addRotationSchedule("Rotation", {
        hostedRotation: sm.HostedRotation.postgreSqlSingleUser({ excludeCharacters: "abc" }),
    });
    const settings = {
        excludeCharacters: "xyz",
        memorySize: 256,
        requireEachIncludedType: false,
        tlsMode: "prefer",
    };
    switchOver(stack.node.root as App, { settings });
    const template = templateOf(stack);
    const lambdas = resourcesOf(template, FUNCTION).map(([, it]) => it.Properties);
    const excluded = lambdas.map((it) => it.Environment.Variables.EXCLUDE_CHARACTERS);
    assert.deepEqual(excluded.sort(), ["abc", "xyz"]);
    for (const lambda of lambdas) {
        assert.equal(lambda.MemorySize, 256);
        assert.equal(lambda.Environment.Variables.REQUIRE_EACH_INCLUDED_TYPE, "false");
        assert.equal(lambda.Environment.Variables.TLS_MODE, "prefer");
    }
});

test("a_wrong_setting_is_rejected_when_the_app_is_synthesised", () => {
    const wrong: [Any, RegExp][] = [
        [{ tlsMode: "off" }, /tlsMode is "off": use one of require, prefer/],
        [{ memorySize: 64 }, /memorySize is 64: use at least 128/],
        [{ memorySize: 20000 }, /use at most 10240/],
        [{ alarmTopicArn: "arn:aws:sns:eu-west-1:123456789012:topic" }, /no setting alarmTopicArn/],
    ];
    for (const [settings, message] of wrong) {
        const stack = new Stack(newApp(), "Stack");
        addRotation(stack);
        switchOver(stack, { settings });
        assert.throws(() => templateOf(stack), message);
    }
});

test("immediate_rotations_can_be_kept", () => {
    const stack = new Stack(newApp(), "Stack");
    addRotation(stack);
    switchOver(stack, { rotateImmediatelyOnUpdate: true });
    const [[, schedule]] = resourcesOf(templateOf(stack), SCHEDULE);
    assert.equal(schedule.Properties.RotateImmediatelyOnUpdate, true);
});

test("deployed_functions_replace_those_of_aws", () => {
    const byArn = { PostgreSQLSingleUser: "arn:aws:lambda:eu-west-1:123456789012:function:mine" };
    const sources: [FunctionSource, Any][] = [
        [FunctionSource.fromArns(byArn), byArn.PostgreSQLSingleUser],
        [
            FunctionSource.fromDeployedTemplate("keys"),
            {
                "Fn::Join": [
                    "",
                    [
                        "arn:",
                        { Ref: "AWS::Partition" },
                        ":lambda:",
                        { Ref: "AWS::Region" },
                        ":",
                        { Ref: "AWS::AccountId" },
                        ":function:keys-PostgreSQLSingleUser",
                    ],
                ],
            },
        ],
    ];
    for (const [source, arn] of sources) {
        const stack = new Stack(newApp(), "Stack");
        addRotation(stack);
        switchOver(stack, { functions: source });
        const template = templateOf(stack);
        assert.deepEqual(resourcesOf(template, FUNCTION), []);
        assert.doesNotMatch(JSON.stringify(template), /serverlessrepo|AWS::Serverless/);
        const [[, schedule]] = resourcesOf(template, SCHEDULE);
        assert.deepEqual(schedule.Properties.RotationLambdaARN, arn);
        Annotations.fromStack(stack).hasInfo(
            "*",
            Match.stringLikeRegexp("do not apply.*vpcSubnetIds"),
        );
    }
});

test("a_missing_arn_is_an_error", () => {
    const stack = new Stack(newApp(), "Stack");
    addRotation(stack);
    switchOver(stack, { functions: FunctionSource.fromArns({}) });
    assert.throws(() => templateOf(stack), /no ARN for the function PostgreSQLSingleUser/);
});

test("packages_in_a_bucket_are_used_by_key", () => {
    const stack = new Stack(newApp(), "Stack");
    addRotation(stack);
    const bucket = s3.Bucket.fromBucketName(stack, "Bucket", "mine");
    switchOver(stack, { functions: FunctionSource.fromBucket(bucket, "keywheel/1/") });
    const [[, lambda]] = resourcesOf(templateOf(stack), FUNCTION);
    const key = "keywheel/1/rotation-postgres/bootstrap.zip";
    assert.deepEqual(lambda.Properties.Code, { S3Bucket: "mine", S3Key: key });
    assert.deepEqual(lambda.Properties.Architectures, ["arm64"]);
});

test("engines_without_a_function_keep_that_of_aws", () => {
    const stack = new Stack(newApp(), "Stack");
    const application = sm.SecretRotationApplication.REDSHIFT_ROTATION_SINGLE_USER;
    addRotation(stack, { application });
    new sm.Secret(stack, "Hosted").addRotationSchedule("Rotation", {
        hostedRotation: sm.HostedRotation.mongoDbSingleUser(),
    });
    switchOver(stack);
    const template = templateOf(stack);
    assert.equal(resourcesOf(template, APPLICATION).length, 1);
    assert.equal(resourcesOf(template, FUNCTION).length, 0);
    assert.equal(template.Transform.length, 2);
    const warnings = Annotations.fromStack(stack);
    warnings.hasWarning("*", Match.stringLikeRegexp("SecretsManagerRedshiftRotationSingleUser"));
    warnings.hasWarning("*", Match.stringLikeRegexp("MongoDBSingleUser"));
});

test("other_serverless_resources_keep_their_transform", () => {
    const stack = new Stack(newApp(), "Stack");
    addRotation(stack);
    new sam.CfnApplication(stack, "Other", { location: "https://example.com/template.yaml" });
    switchOver(stack);
    const template = templateOf(stack);
    assert.deepEqual([template.Transform].flat(), ["AWS::Serverless-2016-10-31"]);
    assert.equal(resourcesOf(template, APPLICATION).length, 1);
});

test("a_hosted_rotation_without_its_construct_is_replaced", () => {
    const stack = new Stack(newApp(), "Stack");
    const secret = new sm.Secret(stack, "Secret");
    new sm.CfnRotationSchedule(stack, "Schedule", {
        secretId: secret.secretArn,
        hostedRotationLambda: { rotationType: "MySQLSingleUser", runtime: "python3.10" },
    });
    switchOver(stack);
    const template = templateOf(stack);
    const [[, lambda]] = resourcesOf(template, FUNCTION);
    assert.equal(lambda.Properties.Runtime, "provided.al2023");
    const { RotationLambdaARN, HostedRotationLambda } = template.Resources.Schedule.Properties;
    assert.equal(HostedRotationLambda, undefined);
    assert.equal(RotationLambdaARN["Fn::GetAtt"][1], "Arn");
});

test("a_setting_that_the_template_does_not_have_is_an_error", () => {
    const stack = new Stack(newApp(), "Stack");
    new sm.CfnRotationSchedule(stack, "Schedule", {
        secretId: "my-app",
        // Such as a property that a future version of the CDK has.
        hostedRotationLambda: { rotationType: "MySQLSingleUser", replicaArn: "arn" } as Any,
    });
    switchOver(stack);
    assert.throws(() => templateOf(stack), /there is no setting replicaArn/);
});

test("keys_and_secrets_can_be_lists_that_are_known_at_the_deployment", () => {
    const stack = new Stack(newApp(), "Stack");
    const list = (name: string) =>
        Fn.join(",", new CfnParameter(stack, name, { type: "CommaDelimitedList" }).valueAsList);
    new sm.CfnRotationSchedule(stack, "Schedule", {
        secretId: "my-app",
        hostedRotationLambda: {
            rotationType: "MySQLMultiUser",
            kmsKeyArn: `arn:of:a:key,${stack.account}`,
            masterSecretArn: "arn:of:a:secret",
            superuserSecretArn: list("Secrets"),
            superuserSecretKmsKeyArn: list("Keys"),
        },
    });
    switchOver(stack);
    const [[, role]] = resourcesOf(templateOf(stack), "AWS::IAM::Role");
    const statements = statementsOf(role.Properties);
    const listed = (name: string) => ({
        "Fn::Split": [",", { "Fn::Join": [",", { Ref: name }] }],
    });
    assert.deepEqual(statements.DecryptTheSecrets.Resource, [
        "arn:of:a:key",
        { Ref: "AWS::AccountId" },
    ]);
    assert.deepEqual(statements.ReadTheMasterSecret.Resource, ["arn:of:a:secret"]);
    assert.deepEqual(statements.ReadTheSuperuserSecret.Resource, listed("Secrets"));
    assert.deepEqual(statements.DecryptTheSuperuserSecret.Resource, listed("Keys"));
    assert.ok(!("DecryptTheMasterSecret" in statements));
    const { Condition } = statements.DecryptTheSuperuserSecret;
    const text = JSON.stringify(Condition.StringLike["kms:EncryptionContext:SecretARN"]);
    assert.match(text, /^{"Fn::Split":\[",",{"Fn::Join":.*arn:of:a:secret,.*{"Ref":"Secrets"}/);
});

test("the_logs_stay_without_the_aspect_and_do_not_prevent_its_return", () => {
    const stack = new Stack(newApp(), "Stack");
    addRotation(stack);
    switchOver(stack);
    const template = templateOf(stack);
    const [[id, group]] = resourcesOf(template, "AWS::Logs::LogGroup");
    assert.equal(group.DeletionPolicy, "RetainExceptOnCreate");
    assert.equal(group.UpdateReplacePolicy, "Retain");
    // CloudFormation cannot create a log group whose name exists already.
    assert.equal(group.Properties.LogGroupName, undefined);
    assert.equal(group.Properties.RetentionInDays, 90);
    const [[, lambda]] = resourcesOf(template, FUNCTION);
    assert.deepEqual(lambda.Properties.LoggingConfig.LogGroup, { Ref: id });
    for (const it of Object.values(template.Resources)) {
        if (it !== group && /Lambda|IAM/.test(it.Type)) assert.equal(it.DeletionPolicy, undefined);
    }
});

test("resources_that_depend_on_the_application_wait_for_the_function", () => {
    const stack = new Stack(newApp(), "Stack");
    const rotation = addRotation(stack);
    const whole = new CfnResource(stack, "Whole", { type: "AWS::SNS::Topic" });
    whole.node.addDependency(rotation);
    const direct = new CfnResource(stack, "Direct", { type: "AWS::SNS::Topic" });
    direct.addDependency(rotation.node.findChild("Resource") as CfnResource);
    switchOver(stack);
    const template = templateOf(stack);
    const [[permission]] = resourcesOf(template, "AWS::Lambda::Permission");
    for (const id of ["Whole", "Direct"]) {
        const { DependsOn } = template.Resources[id];
        assert.ok(DependsOn!.includes(permission), id);
        for (const it of DependsOn!) assert.ok(it in template.Resources, it);
    }
});

test("other_aspects_apply_to_the_new_functions", () => {
    for (const stabilises of [false, true]) {
        const app = newApp({ "@aws-cdk/core:aspectStabilization": stabilises });
        const stack = new Stack(app, "Stack");
        addRotation(stack);
        new sm.Secret(stack, "Hosted").addRotationSchedule("Rotation", {
            hostedRotation: sm.HostedRotation.mysqlSingleUser(),
        });
        switchOver(app);
        Tags.of(app).add("team", "databases");
        const boundary = iam.ManagedPolicy.fromManagedPolicyName(stack, "Boundary", "limit");
        iam.PermissionsBoundary.of(app).apply(boundary);
        const template = templateOf(stack);
        const lambdas = resourcesOf(template, FUNCTION);
        assert.equal(lambdas.length, 2);
        for (const [, it] of [...lambdas, ...resourcesOf(template, "AWS::Logs::LogGroup")]) {
            assert.deepEqual(it.Properties.Tags, [{ Key: "team", Value: "databases" }]);
        }
        for (const [, role] of resourcesOf(template, "AWS::IAM::Role")) {
            assert.ok(role.Properties.PermissionsBoundary);
        }
    }
});

test("a_rotation_in_a_stage_needs_the_aspect_in_the_stage", () => {
    const create = () => {
        const app = newApp();
        const stage = new Stage(app, "Production");
        const stack = new Stack(stage, "Stack");
        addRotation(stack);
        return { app, stage };
    };
    const outside = create();
    switchOver(outside.app);
    assert.throws(() => outside.app.synth(), /does not reach Production\/Stack\/Rotation/);
    const inside = create();
    switchOver(inside.stage);
    const assembly = inside.app.synth().getNestedAssembly("assembly-Production");
    assert.equal(resourcesOf(assembly.stacks[0].template, FUNCTION).length, 1);
});

test("functions_of_nested_stacks_have_different_names", () => {
    const app = newApp();
    for (const name of ["One", "Two"]) {
        const nested = new NestedStack(new Stack(app, name), "Nested");
        addRotation(nested);
    }
    switchOver(app);
    app.synth();
    const lambdas = app.node.findAll().filter((it) => (it as Any).cfnResourceType === FUNCTION);
    const names = new Set(lambdas.map((it: Any) => it.functionName));
    assert.equal(names.size, 2);
});

/** Returns an app with a rotation in one stack, of a secret in another one. */
function acrossStacks() {
    const app = newApp();
    const secrets = new Stack(app, "Secrets");
    const databases = new Stack(app, "Databases");
    // The secret's schedule refers to AWS's application, so its stack depends on the other one.
    addRotation(databases, { secret: new sm.Secret(secrets, "Secret") });
    return app;
}

test("a_schedule_in_another_stack_refers_to_the_function_by_name", () => {
    const app = acrossStacks();
    switchOver(app);
    const { templates } = synthesize(app);
    const [[, lambda]] = resourcesOf(templates.Databases, FUNCTION);
    const [[, schedule]] = resourcesOf(templates.Secrets, SCHEDULE);
    const arn = JSON.stringify(schedule.Properties.RotationLambdaARN);
    assert.ok(arn.includes(`:function:${lambda.Properties.FunctionName}"`), arn);
    assert.equal(templates.Databases.Outputs, undefined);
    assert.deepEqual(resourcesOf(templates.Databases, APPLICATION), []);
    const artifact = app.synth().getStackArtifact("Secrets");
    assert.ok(artifact.dependencies.some((it) => it.id === "Databases"));
});

test("an_application_of_another_stack_can_stay_for_a_deployment", () => {
    const before = synthesize(acrossStacks()).templates;
    const app = acrossStacks();
    switchOver(app, { keepApplicationsOfOtherStacks: true });
    const { templates } = synthesize(app);
    // CloudFormation rejects a deployment that changes or removes an output in use.
    assert.deepEqual(templates.Databases.Outputs, before.Databases.Outputs);
    assert.deepEqual(
        resourcesOf(templates.Databases, APPLICATION),
        resourcesOf(before.Databases, APPLICATION),
    );
    assert.equal(resourcesOf(templates.Databases, FUNCTION).length, 1);
    assert.doesNotMatch(JSON.stringify(templates.Secrets), /ImportValue/);
});
