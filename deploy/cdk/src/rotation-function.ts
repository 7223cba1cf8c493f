import {
    Duration,
    aws_ec2 as ec2,
    aws_kms as kms,
    aws_lambda as lambda,
    aws_secretsmanager as secretsmanager,
} from "aws-cdk-lib";
import { Construct } from "constructs";
import { deploy } from "./deploy";
import type { ParameterValue } from "./evaluate";
import { FunctionSource } from "./function-source";
import type { RotationSettings } from "./generated/settings";
import { settingValues, templateFunction } from "./template";

/** The database engine of the secrets. */
export enum RotationEngine {
    POSTGRESQL = "PostgreSQL",
    MYSQL = "MySQL",
    MARIADB = "MariaDB",
    SQL_SERVER = "SQLServer",
    ORACLE = "Oracle",
}

/** How a rotation replaces a password. */
export enum RotationStrategy {
    /** The user changes its own password. */
    SINGLE_USER = "single-user",
    /** Two users alternate. The master user creates the second one, and sets the passwords. */
    ALTERNATING_USERS = "master-user",
    /** The master user sets the password of a single user. */
    SINGLE_USER_BY_MASTER = "single-user-by-master",
}

/** The function, the secrets that it rotates, and where it runs. */
export interface RotationFunctionProps {
    /** The packages of the functions, or functions that are deployed already. */
    readonly functions: FunctionSource;

    /** The database engine of the secrets. */
    readonly engine: RotationEngine;

    /**
     * How a rotation replaces a password.
     * @default RotationStrategy.SINGLE_USER
     */
    readonly strategy?: RotationStrategy;

    /**
     * The master secret. Every strategy except `SINGLE_USER` needs it.
     * @default none
     */
    readonly masterSecret?: secretsmanager.ISecret;

    /**
     * The keys that encrypt the secrets.
     * @default the account's key aws/secretsmanager
     */
    readonly encryptionKeys?: kms.IKey[];

    /**
     * The VPC of the function.
     * @default the function runs outside of a VPC
     */
    readonly vpc?: ec2.IVpc;

    /**
     * The subnets of the function.
     * @default the default subnets of the VPC
     */
    readonly vpcSubnets?: ec2.SubnetSelection;

    /**
     * The security groups of the function.
     * @default a new security group
     */
    readonly securityGroups?: ec2.ISecurityGroup[];

    /**
     * The settings of the function.
     * @default the defaults of template.yaml
     */
    readonly settings?: RotationSettings;
}

/** When a secret is rotated. */
export interface RotateOptions {
    /**
     * The time between two rotations.
     * @default Duration.days(30)
     */
    readonly automaticallyAfter?: Duration;

    /**
     * Whether to rotate as soon as the schedule is created or changed.
     * @default true
     */
    readonly rotateImmediatelyOnUpdate?: boolean;
}

/** A function that rotates the secrets of one engine with one strategy. */
export class RotationFunction extends Construct implements ec2.IConnectable {
    /** The function. Its permissions are complete: the construct does not change them any more. */
    public readonly function: lambda.IFunction;

    private readonly keyArns: string[];
    /** The permission to invoke the function. A function that is deployed already has its own. */
    private readonly permission?: Construct;
    private readonly securityGroups?: ec2.ISecurityGroup[];

    constructor(scope: Construct, id: string, props: RotationFunctionProps) {
        super(scope, id);
        const strategy = props.strategy ?? RotationStrategy.SINGLE_USER;
        const usesMaster = strategy !== RotationStrategy.SINGLE_USER;
        if (usesMaster !== (props.masterSecret !== undefined)) {
            throw new Error(
                usesMaster
                    ? `the strategy ${strategy} needs masterSecret`
                    : "the strategy single-user does not use masterSecret: remove it",
            );
        }
        if (!props.vpc && (props.vpcSubnets || props.securityGroups)) {
            throw new Error("vpcSubnets and securityGroups need vpc");
        }
        this.keyArns = (props.encryptionKeys ?? []).map((it) => it.keyArn);
        const name = `${props.engine}${usesMaster ? "MasterUser" : "SingleUser"}`;
        const settings = settingValues(props.settings);
        for (const setting of Object.keys(settings)) {
            if (!templateFunction(name).parameters.includes(setting)) {
                throw new Error(`the function ${name} does not use the setting ${setting}`);
            }
        }
        if (props.vpc) {
            this.securityGroups = props.securityGroups ?? [
                new ec2.SecurityGroup(this, "SecurityGroup", { vpc: props.vpc }),
            ];
        }
        const given: { [name: string]: ParameterValue | undefined } = {
            ...settings,
            masterStrategy: usesMaster ? strategy : undefined,
            vpcSubnetIds: props.vpc?.selectSubnets(props.vpcSubnets).subnetIds.join(","),
            vpcSecurityGroupIds: this.securityGroups?.map((it) => it.securityGroupId).join(","),
            kmsKeyArn: this.keyArns.join(","),
            masterSecretArn: props.masterSecret && arnForPolicies(props.masterSecret),
            masterSecretKmsKeyArn: props.masterSecret?.encryptionKey?.keyArn,
        };
        const deployed = deploy(this, name, props.functions, given);
        this.permission = deployed.permission;
        this.function = lambda.Function.fromFunctionAttributes(this, "Import", {
            functionArn: deployed.arn,
            // The template's permission names the account. The CDK's own would not.
            skipPermissions: true,
        });
    }

    /** The connections of the function, to allow it to reach the database. */
    public get connections(): ec2.Connections {
        if (!this.securityGroups) {
            throw new Error("the function has no connections, because it runs outside of a VPC");
        }
        return new ec2.Connections({ securityGroups: this.securityGroups });
    }

    /**
     * Rotates a secret with this function.
     *
     * The schedule has the same logical id as one that `SecretRotation` creates. It is an error if
     * the construct deploys the function, and the secret's key is not one of `encryptionKeys`.
     */
    public rotate(
        secret: secretsmanager.ISecret,
        options: RotateOptions = {},
    ): secretsmanager.RotationSchedule {
        const key = secret.encryptionKey;
        if (this.permission && key && !this.keyArns.includes(key.keyArn)) {
            throw new Error(
                `the function cannot decrypt the secret ${secret.node.path}: add its key ` +
                    `${key.node.path} to encryptionKeys`,
            );
        }
        const schedule = secret.addRotationSchedule("RotationSchedule", {
            rotationLambda: this.function,
            automaticallyAfter: options.automaticallyAfter,
            rotateImmediatelyOnUpdate: options.rotateImmediatelyOnUpdate,
        });
        if (this.permission) schedule.node.addDependency(this.permission);
        return schedule;
    }
}

/** Returns the ARN of a secret for a policy, where six random characters at its end matter. */
function arnForPolicies(secret: secretsmanager.ISecret): string {
    return secret.secretFullArn ?? `${secret.secretArn}-??????`;
}
