//! An app with every kind of rotation that AWS's functions have. It does not know the constructs.

import {
    App,
    AppProps,
    Duration,
    Stack,
    aws_ec2 as ec2,
    aws_kms as kms,
    aws_rds as rds,
    aws_secretsmanager as sm,
} from "aws-cdk-lib";

export const ENGINES = ["PostgreSQL", "MySQL", "MariaDB", "SQLServer", "Oracle"] as const;
type Engine = (typeof ENGINES)[number];

const NETWORKS = ["outside of a VPC", "VPC", "subnets and a group"] as const;
const KEYS = ["no key", "key of the secret", "keys of both secrets"] as const;
const EXCLUDED = [undefined, "", "%\\\"${x}\u00e9 ,'"];

const UPPER: { [engine in Engine]: string } = {
    PostgreSQL: "POSTGRES",
    MySQL: "MYSQL",
    MariaDB: "MARIADB",
    SQLServer: "SQLSERVER",
    Oracle: "ORACLE",
};
const HOSTED: { [engine in Engine]: string } = {
    PostgreSQL: "postgreSql",
    MySQL: "mysql",
    MariaDB: "mariaDb",
    SQLServer: "sqlServer",
    Oracle: "oracle",
};

/** Returns an app with a stack for each engine and strategy, and one with databases of RDS. */
export function createApp(props?: AppProps): App {
    const app = new App({ analyticsReporting: false, ...props });
    for (const engine of ENGINES) {
        for (const isMultiUser of [false, true]) addCombinations(app, engine, isMultiUser);
    }
    addDatabases(app);
    return app;
}

/** Adds every combination of network, keys and excluded characters, with both of the CDK's ways. */
function addCombinations(app: App, engine: Engine, isMultiUser: boolean) {
    const stack = new Stack(app, `${engine}${isMultiUser ? "Multi" : "Single"}`);
    const vpc = new ec2.Vpc(stack, "Vpc", { natGateways: 1 });
    const key = new kms.Key(stack, "Key");
    const masterKey = new kms.Key(stack, "MasterKey");
    const group = new ec2.SecurityGroup(stack, "FunctionGroup", { vpc });
    const target = new ec2.Connections({
        securityGroups: [new ec2.SecurityGroup(stack, "DatabaseGroup", { vpc })],
        defaultPort: ec2.Port.tcp(5432),
    });
    const masters = [
        new sm.Secret(stack, "Master"),
        new sm.Secret(stack, "EncryptedMaster", { encryptionKey: masterKey }),
    ];
    const chosen = { subnetType: ec2.SubnetType.PUBLIC };
    let number = 0;
    for (const network of NETWORKS) {
        for (const keys of KEYS) {
            for (const excludeCharacters of EXCLUDED) {
                const masterSecret = masters[keys === "keys of both secrets" ? 1 : 0];
                const id = `${++number}`;
                const secret = (kind: string) =>
                    new sm.Secret(stack, `${kind}${id}`, {
                        encryptionKey: keys === "no key" ? undefined : key,
                    });
                const vpcSubnets = network === "subnets and a group" ? chosen : undefined;
                const method = `${HOSTED[engine]}${isMultiUser ? "Multi" : "Single"}User`;
                secret("Hosted").addRotationSchedule("Rotation", {
                    hostedRotation: (sm.HostedRotation as any)[method]({
                        vpc: network === "outside of a VPC" ? undefined : vpc,
                        vpcSubnets,
                        securityGroups: vpcSubnets ? [group] : undefined,
                        excludeCharacters,
                        masterSecret: isMultiUser ? masterSecret : undefined,
                        functionName: number === 1 ? `old-${stack.stackName}` : undefined,
                    }),
                    rotateImmediatelyOnUpdate: number === 2 ? true : undefined,
                });
                // SecretRotation needs a VPC.
                if (network === "outside of a VPC") continue;
                const name = `${UPPER[engine]}_ROTATION_${isMultiUser ? "MULTI" : "SINGLE"}_USER`;
                new sm.SecretRotation(stack, `Rotation${id}`, {
                    application: (sm.SecretRotationApplication as any)[name],
                    secret: secret("Secret"),
                    masterSecret: isMultiUser ? masterSecret : undefined,
                    vpc,
                    vpcSubnets,
                    securityGroup: vpcSubnets ? group : undefined,
                    target,
                    excludeCharacters,
                    automaticallyAfter: Duration.days(number),
                });
            }
        }
    }
}

/** Adds databases of RDS with rotations of their master user and of another user. */
function addDatabases(app: App) {
    const stack = new Stack(app, "Databases", {
        env: { account: "123456789012", region: "eu-west-1" },
    });
    const vpc = new ec2.Vpc(stack, "Vpc", { maxAzs: 2 });
    const endpoint = vpc.addInterfaceEndpoint("Endpoint", {
        service: ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER,
    });
    const e = rds.DatabaseInstanceEngine;
    const instances = {
        Postgres: e.postgres({ version: rds.PostgresEngineVersion.VER_16 }),
        Mysql: e.mysql({ version: rds.MysqlEngineVersion.VER_8_0 }),
        Mariadb: e.mariaDb({ version: rds.MariaDbEngineVersion.VER_10_11 }),
        Sqlserver: e.sqlServerSe({ version: rds.SqlServerEngineVersion.VER_15 }),
        Oracle: e.oracleSe2({ version: rds.OracleEngineVersion.VER_19 }),
    };
    const add = (id: string, database: rds.DatabaseInstance | rds.DatabaseCluster) => {
        database.addRotationSingleUser({ endpoint, automaticallyAfter: Duration.days(7) });
        const user = new rds.DatabaseSecret(stack, `${id}User`, {
            username: "app",
            masterSecret: database.secret,
        });
        database.addRotationMultiUser("App", {
            secret: user.attach(database),
            rotateImmediatelyOnUpdate: id === "Mysql" ? true : undefined,
        });
    };
    for (const [id, engine] of Object.entries(instances)) {
        add(id, new rds.DatabaseInstance(stack, id, { engine, vpc, storageEncrypted: true }));
    }
    const clusters = {
        AuroraPostgres: rds.DatabaseClusterEngine.auroraPostgres({
            version: rds.AuroraPostgresEngineVersion.VER_16_4,
        }),
        AuroraMysql: rds.DatabaseClusterEngine.auroraMysql({
            version: rds.AuroraMysqlEngineVersion.VER_3_08_0,
        }),
    };
    for (const [id, engine] of Object.entries(clusters)) {
        const writer = rds.ClusterInstance.serverlessV2("Writer");
        add(
            id,
            new rds.DatabaseCluster(stack, id, { engine, vpc, writer, storageEncrypted: true }),
        );
    }
}
