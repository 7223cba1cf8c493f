import {
    Annotations,
    CfnResource,
    IAspect,
    Stack,
    Stage,
    Tokenization,
    aws_secretsmanager as secretsmanager,
} from "aws-cdk-lib";
import { Construct, IConstruct } from "constructs";
import {
    AwsApplication,
    HOSTED_TRANSFORM,
    OUTPUT,
    SERVERLESS_TRANSFORM,
    applicationOf,
    hostedSchedulesIn,
    hostedType,
    neededTransforms,
    replacementOf,
    schedulesOf,
} from "./aws-rotations";
import { deploy } from "./deploy";
import type { ParameterValue } from "./evaluate";
import { FunctionSource } from "./function-source";
import type { RotationSettings } from "./generated/settings";
import { Deployed } from "./resources";
import { isParameter, settingValues } from "./template";

/** The functions that replace AWS's, and how the replacement proceeds. */
export interface RotateWithKeywheelProps {
    /** The packages of the functions, or functions that are deployed already. */
    readonly functions: FunctionSource;

    /**
     * Settings of all functions. What a rotation sets itself prevails, such as
     * `excludeCharacters`.
     * @default the defaults of template.yaml
     */
    readonly settings?: RotationSettings;

    /**
     * Whether CloudFormation rotates a secret immediately when its schedule changes, if the
     * rotation does not set it itself.
     *
     * Without an immediate rotation, the switch changes no password.
     * @default false
     */
    readonly rotateImmediatelyOnUpdate?: boolean;

    /**
     * Whether AWS's applications stay deployed, unused, if the schedule is in another stack.
     *
     * CloudFormation cannot remove such an application in the deployment that stops using it,
     * because the schedule's stack imports its output. Set it for the first deployment, then remove
     * it.
     * @default false
     */
    readonly keepApplicationsOfOtherStacks?: boolean;
}

/**
 * Rotates all secrets of an app with these functions instead of AWS's.
 *
 * It replaces the function of every `addRotationSingleUser`, `addRotationMultiUser`,
 * `SecretRotation` and `HostedRotation`. The rotation's settings, its security group and its
 * schedule stay.
 *
 * An aspect does not reach the inside of a `Stage`: add it to each stage.
 */
export class RotateWithKeywheel implements IAspect {
    constructor(private readonly props: RotateWithKeywheelProps) {}

    /** Replaces AWS's function in a construct. */
    public visit(node: IConstruct): void {
        // The new resources become children of this construct, so other aspects visit them next.
        const found = applicationOf(node);
        if (found) this.replaceApplication(node, found);
        for (const schedule of hostedSchedulesIn(node)) this.replaceHosted(node, schedule);
        if (Stage.isStage(node)) checkStages(node);
    }

    private replaceApplication(scope: IConstruct, found: AwsApplication): void {
        const { application, mapping } = found;
        const name = replacementOf(found.name);
        if (!name) return warnUnsupported(scope, found.name);
        // Both functions exist during the switch, so the new one cannot have the name of AWS's.
        const { functionName: _, ...given } = application.parameters as Parameters;
        const deployed = this.deployIn(scope, "Keywheel", name, given);
        const stack = Stack.of(application);
        let isKept = false;
        for (const schedule of schedulesOf(application)) {
            const isImport = outermost(schedule.stack) !== outermost(stack);
            if (isImport && this.props.keepApplicationsOfOtherStacks) isKept = true;
            this.assign(schedule, deployed, isImport ? deployed.fixedArn : deployed.arn);
        }
        if (isKept) {
            // The schedule's stack imports this value until its own deployment.
            stack.exportValue(application.getAtt(OUTPUT));
            return;
        }
        moveDependencies(application, deployed.permission);
        scope.node.tryRemoveChild(application.node.id);
        scope.node.tryRemoveChild(mapping.node.id);
        removeUnneededTransforms(stack);
    }

    private replaceHosted(scope: IConstruct, schedule: secretsmanager.CfnRotationSchedule): void {
        const hosted = schedule.hostedRotationLambda;
        if (hosted === undefined || Tokenization.isResolvable(hosted)) {
            throw new Error(`could not replace ${schedule.node.path}: its function is a token`);
        }
        // The runtime is that of AWS's Python function.
        const { rotationType, rotationLambdaName: _, runtime: __, ...given } = hosted;
        const name = replacementOf(rotationType);
        if (!name) return warnUnsupported(scope, rotationType);
        const id = schedule.node.id === "Resource" ? "Keywheel" : `${schedule.node.id}Keywheel`;
        const deployed = this.deployIn(scope, id, name, given as Parameters);
        schedule.hostedRotationLambda = undefined;
        this.assign(schedule, deployed, deployed.arn);
        removeUnneededTransforms(schedule.stack);
    }

    private deployIn(scope: IConstruct, id: string, name: string, all: Parameters): Deployed {
        const given = Object.fromEntries(Object.entries(all).filter(([, it]) => it !== undefined));
        const unknown = Object.keys(given).filter((parameter) => !isParameter(parameter));
        if (unknown.length > 0) {
            const path = scope.node.path;
            throw new Error(`could not replace ${path}: there is no setting ${unknown.join(", ")}`);
        }
        const settings = settingValues(this.props.settings);
        const own = new Construct(scope as Construct, id);
        const deployed = deploy(own, name, this.props.functions, { ...settings, ...given });
        if (!deployed.permission) {
            const ignored = Object.keys(given).join(", ");
            Annotations.of(scope).addInfo(
                `The deployed function ${name} rotates this secret. ` +
                    `These settings of the rotation do not apply to it: ${ignored}.`,
            );
        }
        return deployed;
    }

    private assign(
        schedule: secretsmanager.CfnRotationSchedule,
        deployed: Deployed,
        arn: string,
    ): void {
        schedule.rotationLambdaArn = arn;
        schedule.rotateImmediatelyOnUpdate ??= this.props.rotateImmediatelyOnUpdate ?? false;
        // Secrets Manager invokes the function as soon as the schedule changes.
        if (deployed.permission) schedule.node.addDependency(deployed.permission);
    }
}

type Parameters = { [name: string]: ParameterValue };

function warnUnsupported(scope: IConstruct, awsName: string): void {
    Annotations.of(scope).addWarningV2(
        "keywheel:unsupported",
        `AWS's function ${awsName} continues to rotate this secret: Keywheel has none for it.`,
    );
}

/** Rejects an aspect of an app that has rotations in a stage, because it does not reach them. */
function checkStages(root: IConstruct): void {
    for (const node of root.node.findAll()) {
        if (Stage.of(node) === root) continue;
        const names = hostedSchedulesIn(node).map(hostedType);
        const found = [applicationOf(node)?.name, ...names].find((it) => it && replacementOf(it));
        if (found) {
            throw new Error(
                `the aspect RotateWithKeywheel does not reach ${node.node.path}: an aspect does ` +
                    "not apply inside a Stage, so add it to the stage",
            );
        }
    }
}

/** Returns the stack that is deployed, for a nested stack the one that contains it. */
function outermost(stack: Stack): Stack {
    return stack.nestedStackParent ? outermost(stack.nestedStackParent) : stack;
}

/** Moves the dependencies of other resources from AWS's application to the new function. */
function moveDependencies(application: CfnResource, replacement?: CfnResource): void {
    for (const node of (Stage.of(application) ?? application.node.root).node.findAll()) {
        if (!CfnResource.isCfnResource(node)) continue;
        if (!node.obtainDependencies().includes(application)) continue;
        if (replacement) node.replaceDependency(application, replacement);
        else node.removeDependency(application);
    }
}

/** Removes the transforms of AWS's functions, which need the capability `AUTO_EXPAND`. */
function removeUnneededTransforms(stack: Stack): void {
    const needed = neededTransforms(stack);
    const ours = new Set([SERVERLESS_TRANSFORM, HOSTED_TRANSFORM]);
    const left = (stack.templateOptions.transforms ?? []).filter(
        (it) => !ours.has(it) || needed.has(it),
    );
    stack.templateOptions.transforms = left.length > 0 ? left : undefined;
}
