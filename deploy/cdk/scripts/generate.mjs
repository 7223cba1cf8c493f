// Derives src/generated from the project's template.yaml, so that the constructs deploy the same
// functions: `template.json` has each function with its resources, and `settings.ts` the settings.
//   node scripts/generate.mjs [FOLDER]     the default is src/generated

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { isMap, isSeq, parseDocument } from "yaml";

const HERE = dirname(fileURLToPath(import.meta.url));

/** Parameters that the constructs set themselves, from the VPC, the keys and the strategy. */
const SET_BY_CONSTRUCTS = new Set([
    "functionName",
    "vpcSubnetIds",
    "vpcSecurityGroupIds",
    "kmsKeyArn",
    "masterSecretArn",
    "superuserSecretArn",
    "masterSecretKmsKeyArn",
    "superuserSecretKmsKeyArn",
    "masterStrategy",
]);

/** The types of resources that src/resources.ts creates. */
const CREATED_TYPES = new Set([
    "AWS::Logs::LogGroup",
    "AWS::IAM::Role",
    "AWS::Lambda::Function",
    "AWS::Lambda::Permission",
]);

/** Reads a template, and writes the short forms of intrinsic functions in full. */
function readTemplate(path) {
    const document = parseDocument(readFileSync(path, "utf8"), { logLevel: "silent" });
    if (document.errors.length > 0) throw document.errors[0];
    const plain = (node) => {
        let value;
        if (isMap(node)) {
            value = Object.fromEntries(node.items.map((it) => [it.key.value, plain(it.value)]));
        } else if (isSeq(node)) value = node.items.map(plain);
        else value = node?.value ?? null;
        if (!node?.tag?.startsWith("!")) return value;
        const name = node.tag.slice(1);
        if (name === "Ref" || name === "Condition") return { [name]: value };
        if (name === "GetAtt" && typeof value === "string")
            value = value.split(/\.(.*)/s).slice(0, 2);
        return { [`Fn::${name}`]: value };
    };
    return plain(document.contents);
}

/** Returns the names of parameters and resources that an expression refers to. */
function references(value, template, found = new Set()) {
    if (Array.isArray(value)) value.forEach((item) => references(item, template, found));
    else if (value !== null && typeof value === "object") {
        for (const [key, argument] of Object.entries(value)) {
            if (key === "Ref") found.add(argument);
            else if (key === "Fn::GetAtt") found.add(argument[0]);
            else if (key === "Fn::Sub") {
                const text = Array.isArray(argument) ? argument[0] : argument;
                for (const [, name] of text.matchAll(/\$\{([^!][^}]*)\}/g))
                    found.add(name.split(".")[0]);
            } else if (key === "Fn::If") {
                references(template.Conditions[argument[0]], template, found);
            } else if (key === "Condition" && typeof argument === "string") {
                references(template.Conditions[argument], template, found);
            }
            if (!["Ref", "Fn::GetAtt"].includes(key)) references(argument, template, found);
        }
    }
    return found;
}

/** Converts a function of SAM, with the `Globals`, to the properties of CloudFormation. */
function convertFunction(id, own, globals) {
    const properties = { ...globals, ...own };
    properties.Environment = {
        Variables: { ...globals.Environment?.Variables, ...own.Environment?.Variables },
    };
    const { CodeUri, Tracing, ...rest } = properties;
    const known = new Set([
        "Handler",
        "Runtime",
        "Architectures",
        "MemorySize",
        "Timeout",
        "Layers",
        "LoggingConfig",
        "VpcConfig",
        "Environment",
        "FunctionName",
        "Description",
        "Role",
    ]);
    for (const name of Object.keys(rest)) {
        if (!known.has(name))
            throw new Error(`${id}: could not convert ${name}: extend generate.mjs`);
    }
    return { ...rest, TracingConfig: { Mode: Tracing } };
}

/** Moves the managed policies of the template into the role, so that a role is one resource. */
function withInlinePolicies(role, template) {
    const managed = [];
    const policies = [...(role.Policies ?? [])];
    for (const arn of role.ManagedPolicyArns ?? []) {
        const policy = template.Resources[arn.Ref];
        if (policy?.Type !== "AWS::IAM::ManagedPolicy") managed.push(arn);
        else {
            const { PolicyDocument } = policy.Properties;
            policies.push({ PolicyName: arn.Ref, PolicyDocument });
        }
    }
    return { ...role, ManagedPolicyArns: managed, Policies: policies };
}

/** Returns a function and every resource that it refers to, and the permission to invoke it. */
function deployableFunction(id, template) {
    const source = template.Resources[id];
    const resources = {
        Function: {
            Type: "AWS::Lambda::Function",
            Properties: convertFunction(id, source.Properties, template.Globals.Function),
        },
    };
    // Logical ids relative to the construct: PostgreSQLSingleUserRole becomes Role.
    const names = { [id]: "Function" };
    const add = (resource) => {
        if (names[resource] || !template.Resources[resource]) return;
        const { Type, Properties, DeletionPolicy, UpdateReplacePolicy } =
            template.Resources[resource];
        if (!CREATED_TYPES.has(Type)) {
            throw new Error(
                `${id}: could not convert ${resource}, an ${Type}: extend generate.mjs`,
            );
        }
        const name = resource.startsWith(id) ? resource.slice(id.length) : resource;
        names[resource] = name;
        resources[name] = {
            Type,
            DeletionPolicy,
            UpdateReplacePolicy,
            Properties:
                Type === "AWS::IAM::Role" ? withInlinePolicies(Properties, template) : Properties,
        };
        references(resources[name].Properties, template).forEach(add);
    };
    references(resources.Function.Properties, template).forEach(add);
    for (const [name, { Type, Properties }] of Object.entries(template.Resources)) {
        if (Type === "AWS::Lambda::Permission" && Properties.FunctionName.Ref === id) add(name);
    }
    if (!resources.Permission) throw new Error(`${id}: Secrets Manager may not invoke it`);
    const rename = (value) =>
        JSON.parse(JSON.stringify(value), (_, it) => {
            if (it && names[it.Ref]) return { Ref: names[it.Ref] };
            const attribute = it?.["Fn::GetAtt"];
            return attribute ? { "Fn::GetAtt": [names[attribute[0]], attribute[1]] } : it;
        });
    const used = references(Object.values(resources), template);
    return {
        binary: source.Metadata.BuildProperties.Binary,
        parameters: Object.keys(template.Parameters).filter((name) => used.has(name)),
        resources: rename(resources),
    };
}

/** Writes an interface with a property for each parameter that is a setting. */
function settingsInterface(parameters) {
    const properties = Object.entries(parameters).map(([name, it]) => {
        const values = (it.AllowedValues ?? []).map(String);
        const type = it.Type === "Number" ? "number" : values[0] === "true" ? "boolean" : "string";
        const listed =
            type === "string" && values.length > 0 ? ` Values: ${values.join(", ")}.` : "";
        const fallback = it.Default === "" ? "none" : it.Default;
        return (
            `  /**\n   * ${it.Description}${listed}\n   * @default ${fallback}\n   */\n` +
            `  readonly ${name}?: ${type};`
        );
    });
    return (
        "// Generated from template.yaml by scripts/generate.mjs.\n\n" +
        "/** Settings of rotation functions, with the names of the template's parameters. */\n" +
        `export interface RotationSettings {\n${properties.join("\n\n")}\n}\n`
    );
}

const template = readTemplate(join(HERE, "../../../template.yaml"));
const functions = Object.fromEntries(
    Object.entries(template.Resources)
        .filter(([, { Type }]) => Type === "AWS::Serverless::Function")
        .map(([id]) => [id, deployableFunction(id, template)]),
);
const used = new Set(Object.values(functions).flatMap((it) => it.parameters));
const parameters = Object.fromEntries(
    Object.entries(template.Parameters).filter(([name]) => used.has(name)),
);
const settings = Object.fromEntries(
    Object.entries(parameters).filter(([name]) => !SET_BY_CONSTRUCTS.has(name)),
);

const folder = process.argv[2] ?? join(HERE, "../src/generated");
mkdirSync(folder, { recursive: true });
const json = { parameters, conditions: template.Conditions, functions };
writeFileSync(join(folder, "template.json"), JSON.stringify(json, null, 2) + "\n");
writeFileSync(join(folder, "settings.ts"), settingsInterface(settings));
