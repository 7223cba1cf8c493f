//! The constructs deploy what template.yaml deploys, in the judgement of other programs.

import {
    App,
    CfnParameter,
    DefaultStackSynthesizer,
    Stack,
    aws_ec2 as ec2,
    aws_kms as kms,
    aws_secretsmanager as sm,
} from "aws-cdk-lib";
import {
    FunctionSource,
    RotationEngine,
    RotationFunction,
    RotationSettings,
    RotationStrategy,
} from "keywheel-cdk";
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Any, PACKAGE, PROJECT, createPackages } from "./support";

const ENV = { account: "123456789012", region: "eu-west-1" };
const ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:master-AbCdEf";
const KEY = "arn:aws:kms:eu-west-1:123456789012:key/1";

/** Parameters of template.yaml, and the same as properties of the construct. */
interface Case {
    parameters: { [name: string]: string };
    settings?: RotationSettings;
    isInVpc?: boolean;
    hasKeys?: boolean;
    byMaster?: RotationStrategy;
    /** Whether the app takes the ARNs and the accounts from parameters of its own stack. */
    isDecidedAtDeployment?: boolean;
}

const CASES: Case[] = [
    { parameters: {} },
    {
        parameters: {
            vpcSubnetIds: "subnet-1,subnet-2",
            vpcSecurityGroupIds: "sg-1",
            kmsKeyArn: KEY,
            masterSecretKmsKeyArn: `${KEY}2`,
            masterStrategy: "single-user-by-master",
            architecture: "x86_64",
            memorySize: "512",
            tlsMode: "prefer",
            oracleTlsMode: "require",
            tlsCaFile: "/opt/ca.pem",
            tlsCaLayerArn: "arn:aws:lambda:eu-west-1:123456789012:layer:ca:1",
            passwordLength: "40",
            excludeCharacters: '%"\\$ ,',
            excludePunctuation: "true",
            requireEachIncludedType: "false",
            logRetentionInDays: "7",
            tracing: "Active",
        },
        settings: {
            memorySize: 512,
            tlsMode: "prefer",
            oracleTlsMode: "require",
            tlsCaFile: "/opt/ca.pem",
            tlsCaLayerArn: "arn:aws:lambda:eu-west-1:123456789012:layer:ca:1",
            passwordLength: "40",
            excludeCharacters: '%"\\$ ,',
            excludePunctuation: true,
            requireEachIncludedType: false,
            logRetentionInDays: 7,
            tracing: "Active",
        },
        isInVpc: true,
        hasKeys: true,
        byMaster: RotationStrategy.SINGLE_USER_BY_MASTER,
    },
    ...[false, true].map((isDecidedAtDeployment) => ({
        parameters: {
            kmsKeyArn: isDecidedAtDeployment ? `${KEY},${KEY}3` : KEY,
            masterSecretKmsKeyArn: `${KEY}2`,
            secretAccountIds: "210987654321,345678901234",
            replicaKmsKeyArn: `${KEY}4`,
        },
        settings: {
            secretAccountIds: "210987654321,345678901234",
            replicaKmsKeyArn: `${KEY}4`,
        },
        hasKeys: true,
        isDecidedAtDeployment,
    })),
    {
        parameters: { masterSecretKmsKeyArn: `${KEY}2`, kmsKeyArn: KEY, masterSecretTag: "shop" },
        settings: { masterSecretTag: "shop" },
        hasKeys: true,
    },
];

/** Returns the file of a template with the functions of every engine and strategy. */
function synthesizeCase(given: Case): string {
    const app = new App({ analyticsReporting: false });
    const synthesizer = new DefaultStackSynthesizer({ generateBootstrapVersionRule: false });
    const { isDecidedAtDeployment } = given;
    const env = isDecidedAtDeployment ? undefined : ENV;
    const stack = new Stack(app, "Stack", { env, synthesizer });
    const value = (name: string, fixed: string): string =>
        isDecidedAtDeployment ? new CfnParameter(stack, name).valueAsString : fixed;
    const vpc = ec2.Vpc.fromVpcAttributes(stack, "Vpc", {
        vpcId: "vpc-1",
        availabilityZones: ["eu-west-1a", "eu-west-1b"],
        privateSubnetIds: ["subnet-1", "subnet-2"],
    });
    const keyNamed = (name: string, fixed: string) =>
        kms.Key.fromKeyArn(stack, `Key${name}`, value(name, fixed));
    const key = keyNamed("kmsKeyArn", KEY);
    const masterKey = keyNamed("masterSecretKmsKeyArn", `${KEY}2`);
    const masterSecret = sm.Secret.fromSecretAttributes(stack, "Master", {
        secretCompleteArn: value("masterSecretArn", ARN),
        encryptionKey: given.hasKeys ? masterKey : undefined,
    });
    const group = ec2.SecurityGroup.fromSecurityGroupId(stack, "Group", "sg-1");
    const accounts = given.settings?.secretAccountIds;
    const secretAccountIds = accounts && value("secretAccountIds", accounts);
    const architecture = given.parameters.architecture === "x86_64" ? "x86_64" : "arm64";
    const functions = FunctionSource.fromFolder(createPackages(architecture));
    for (const engine of Object.values(RotationEngine)) {
        for (const usesMaster of [false, true]) {
            const { tlsMode, oracleTlsMode, masterSecretTag, ...rest } = given.settings ?? {};
            const others = { ...rest, secretAccountIds };
            new RotationFunction(stack, `${engine}${usesMaster}`, {
                functions,
                engine,
                strategy: usesMaster
                    ? (given.byMaster ?? RotationStrategy.ALTERNATING_USERS)
                    : undefined,
                masterSecret: usesMaster ? masterSecret : undefined,
                encryptionKeys: given.hasKeys ? [key] : undefined,
                vpc: given.isInVpc ? vpc : undefined,
                securityGroups: given.isInVpc ? [group] : undefined,
                settings: {
                    ...others,
                    ...(engine === RotationEngine.ORACLE ? { oracleTlsMode } : { tlsMode }),
                    masterSecretTag: usesMaster ? masterSecretTag : undefined,
                },
            });
        }
    }
    return app.synth().stacks[0].templateFullPath;
}

/** Replaces the prefix of each function's names with the template's, and returns all by name. */
function withPrefix(functions: Any): Any {
    return Object.fromEntries(
        Object.entries(functions).map(([name, it]) => {
            const [, prefix, suffix] = /^(.*)-(\w+)$/.exec(name)!;
            return [suffix, JSON.parse(JSON.stringify(it).replaceAll(prefix, "PREFIX"))];
        }),
    );
}

test("each_function_is_the_one_that_the_template_deploys", () => {
    const engines = ["postgreSQL", "mySQL", "mariaDB", "sqlServer", "oracle"];
    const all = Object.fromEntries(engines.map((it) => [it, "true"]));
    for (const given of CASES) {
        const parameters = { ...all, masterSecretArn: ARN, ...given.parameters };
        const python = join(PROJECT, "target/tools/bin/python");
        const script = join(PACKAGE, "test/evaluate_with_moto.py");
        const files = [join(PROJECT, "template.yaml"), synthesizeCase(given)];
        const output = execFileSync(python, [script, JSON.stringify(parameters), ...files], {
            encoding: "utf8",
            stdio: ["ignore", "pipe", "inherit"],
        });
        const [expected, actual] = JSON.parse(output).map(withPrefix);
        assert.equal(Object.keys(expected).length, 10);
        for (const it of Object.values<Any>(expected)) assert.equal(it.logs.length, 1);
        assert.deepEqual(actual, expected);
    }
});

test("the_library_was_built_from_the_current_template", () => {
    const folder = mkdtempSync(join(tmpdir(), "keywheel-"));
    execFileSync(process.execPath, [join(PACKAGE, "scripts/generate.mjs"), folder]);
    const read = (path: string) => readFileSync(path, "utf8");
    assert.equal(
        read(join(folder, "settings.ts")),
        read(join(PACKAGE, "src/generated/settings.ts")),
        "run npm run build",
    );
    assert.deepEqual(
        JSON.parse(read(join(folder, "template.json"))),
        JSON.parse(read(join(PACKAGE, "lib/generated/template.json"))),
        "run npm run build",
    );
});
