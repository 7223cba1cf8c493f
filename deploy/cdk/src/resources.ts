import {
    ArnFormat,
    Names,
    Stack,
    aws_iam as iam,
    aws_lambda as lambda,
    aws_logs as logs,
} from "aws-cdk-lib";
import { Construct } from "constructs";
import { evaluate, Json, ParameterValue } from "./evaluate";
import { CONDITIONS, PARAMETER_TYPES, parameterValues, templateFunction } from "./template";

/** A function, deployed by this app or before. */
export interface Deployed {
    readonly arn: string;
    /** The function's ARN without a reference, for another stack. */
    readonly fixedArn: string;
    /** Allows Secrets Manager to invoke the function. A deployed function has this permission. */
    readonly permission?: lambda.CfnPermission;
}

/** Keys whose values keep the spelling of the template, because they are not properties. */
const VERBATIM = new Set(["Variables", "PolicyDocument", "AssumeRolePolicyDocument"]);

/**
 * Creates the resources of a function of the template.
 *
 * They are of the CDK's own classes, so that other aspects can tag and check them.
 */
export function createResources(
    scope: Construct,
    name: string,
    code: lambda.CfnFunction.CodeProperty,
    given: { [name: string]: ParameterValue },
): Deployed {
    const stack = Stack.of(scope);
    // The names are fixed, because the role's policy names its function. They differ from the name
    // of AWS's function, because both exist while CloudFormation replaces one with the other.
    const functionName = Names.uniqueResourceName(scope, { maxLength: 40, separator: "-" });
    const parameters = parameterValues({ ...given, functionName });
    const source = templateFunction(name);
    const created: { [name: string]: any } = {};

    const resource = (id: string): any => {
        if (!source.resources[id]) throw new Error(`could not find ${id} in the template`);
        if (created[id] === null) throw new Error(`the template's ${id} refers to itself`);
        if (created[id]) return created[id];
        created[id] = null;
        const { Type, Properties, DeletionPolicy, UpdateReplacePolicy } = source.resources[id];
        const properties = propertiesOf(evaluate(Properties, context));
        if (Type === "AWS::Lambda::Function") properties.code = code;
        // A log group that stays would keep its name. CloudFormation could not create it again when
        // the function returns, so it gets a new name each time.
        if (Type === "AWS::Logs::LogGroup" && DeletionPolicy?.startsWith("Retain")) {
            delete properties.logGroupName;
        }
        created[id] = createResource(scope, id, Type, properties);
        created[id].cfnOptions.deletionPolicy = DeletionPolicy;
        created[id].cfnOptions.updateReplacePolicy = UpdateReplacePolicy;
        return created[id];
    };
    const context = {
        stack,
        parameters,
        types: PARAMETER_TYPES,
        conditions: CONDITIONS,
        resource: (id: string, attribute?: string) =>
            attribute ? resource(id).getAtt(attribute).toString() : resource(id).ref,
    };
    Object.keys(source.resources).forEach(resource);
    const { Function: deployed, Permission: permission } = created;
    const resourceName = deployed.functionName;
    const arnFormat = ArnFormat.COLON_RESOURCE_NAME;
    const parts = { service: "lambda", resource: "function", resourceName, arnFormat };
    return { arn: deployed.attrArn, fixedArn: stack.formatArn(parts), permission };
}

function createResource(scope: Construct, id: string, type: string, properties: any) {
    switch (type) {
        case "AWS::Logs::LogGroup":
            return new logs.CfnLogGroup(scope, id, properties);
        case "AWS::IAM::Role":
            return new iam.CfnRole(scope, id, properties);
        case "AWS::Lambda::Function":
            return new lambda.CfnFunction(scope, id, properties);
        case "AWS::Lambda::Permission":
            return new lambda.CfnPermission(scope, id, properties);
        default:
            throw new Error(`could not create ${id}: the library does not know the type ${type}`);
    }
}

/** Converts names of CloudFormation's properties, such as `MemorySize`, to those of the CDK. */
function propertiesOf(value: Json): any {
    if (Array.isArray(value)) return value.map(propertiesOf);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(
        Object.entries(value).map(([key, item]) => [
            key[0].toLowerCase() + key.slice(1),
            VERBATIM.has(key) ? item : propertiesOf(item),
        ]),
    );
}
