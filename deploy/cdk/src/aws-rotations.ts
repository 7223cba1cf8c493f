import {
    CfnMapping,
    CfnResource,
    Reference,
    Stack,
    Stage,
    Tokenization,
    aws_sam as sam,
    aws_secretsmanager as secretsmanager,
} from "aws-cdk-lib";
import { IConstruct } from "constructs";

/** AWS's names of applications and hosted rotations, for the engines of this project. */
const NAME = new RegExp(
    "^(?:SecretsManagerRDS)?(PostgreSQL|MySQL|MariaDB|SQLServer|Oracle)" +
        "(?:Rotation)?(Single|Multi)User$",
);
const APPLICATION = /:serverlessrepo:[^:]*:[^:]*:applications\/(SecretsManager\w*Rotation\w*)$/;

/** The transforms that AWS's applications and hosted rotations need. */
export const SERVERLESS_TRANSFORM = sam.CfnApplication.REQUIRED_TRANSFORM;
export const HOSTED_TRANSFORM = "AWS::SecretsManager-2024-09-16";

/** The output of AWS's applications with the ARN of the function. */
export const OUTPUT = "Outputs.RotationLambdaARN";

/** AWS's serverless application, as `SecretRotation` adds it to an app. */
export interface AwsApplication {
    readonly application: sam.CfnApplication;
    /** The application's ARN and version for each partition. */
    readonly mapping: CfnMapping;
    /** AWS's name, such as `SecretsManagerRDSPostgreSQLRotationSingleUser`. */
    readonly name: string;
}

/** Returns the function that replaces AWS's, or `undefined` if there is none for the engine. */
export function replacementOf(awsName: string): string | undefined {
    const match = NAME.exec(awsName);
    return match ? `${match[1]}${match[2] === "Single" ? "SingleUser" : "MasterUser"}` : undefined;
}

/** Returns AWS's application, if the construct is a `SecretRotation`. */
export function applicationOf(construct: IConstruct): AwsApplication | undefined {
    const application = construct.node.tryFindChild("Resource");
    const mapping = construct.node.tryFindChild("SARMapping");
    if (!isApplication(application) || !mapping) return undefined;
    const rendered = JSON.stringify(
        Stack.of(mapping).resolve((mapping as any)._toCloudFormation()),
    );
    const ids = [...rendered.matchAll(/"applicationId":"([^"]*)"/g)].map((it) => it[1]);
    const names = new Set(ids.map((id) => APPLICATION.exec(id)?.[1]));
    const [name] = names;
    if (names.size !== 1 || !name) return undefined;
    return { application, mapping: mapping as CfnMapping, name };
}

/** Returns the schedules whose function is the application's, in all stacks of the stage. */
export function schedulesOf(application: sam.CfnApplication): secretsmanager.CfnRotationSchedule[] {
    const root = Stage.of(application) ?? application.node.root;
    return root.node
        .findAll()
        .filter(isSchedule)
        .filter((schedule) => {
            const arn = schedule.rotationLambdaArn;
            const token =
                arn === undefined ? undefined : Tokenization.reverseString(arn).firstToken;
            return (
                Reference.isReference(token) &&
                token.target === application &&
                token.displayName === OUTPUT
            );
        });
}

/** Returns the schedules among a construct's children with a function that AWS hosts. */
export function hostedSchedulesIn(construct: IConstruct): secretsmanager.CfnRotationSchedule[] {
    return construct.node.children
        .filter(isSchedule)
        .filter((schedule) => schedule.hostedRotationLambda !== undefined);
}

/** Returns the transforms that a stack's resources need. */
export function neededTransforms(stack: Stack): Set<string> {
    const needed = new Set<string>();
    for (const node of stack.node.findAll()) {
        if (!CfnResource.isCfnResource(node) || node.stack !== stack) continue;
        if (node.cfnResourceType.startsWith("AWS::Serverless::")) {
            needed.add(SERVERLESS_TRANSFORM);
        }
        if (isSchedule(node) && node.hostedRotationLambda !== undefined)
            needed.add(HOSTED_TRANSFORM);
    }
    return needed;
}

/** Returns the type of a hosted rotation, such as `MySQLSingleUser`. */
export function hostedType(schedule: secretsmanager.CfnRotationSchedule): string | undefined {
    const hosted = schedule.hostedRotationLambda;
    return Tokenization.isResolvable(hosted) ? undefined : hosted?.rotationType;
}

function isApplication(node?: IConstruct): node is sam.CfnApplication {
    return isOfType(node, sam.CfnApplication.CFN_RESOURCE_TYPE_NAME);
}

function isSchedule(node?: IConstruct): node is secretsmanager.CfnRotationSchedule {
    return isOfType(node, secretsmanager.CfnRotationSchedule.CFN_RESOURCE_TYPE_NAME);
}

function isOfType(node: IConstruct | undefined, type: string): boolean {
    return node !== undefined && CfnResource.isCfnResource(node) && node.cfnResourceType === type;
}
