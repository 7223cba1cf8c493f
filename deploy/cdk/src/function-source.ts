import {
    ArnFormat,
    Stack,
    aws_lambda as lambda,
    aws_s3 as s3,
    aws_s3_assets as assets,
} from "aws-cdk-lib";
import { Construct } from "constructs";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { architectureOf } from "./package-architecture";
import { templateFunction } from "./template";

/** Where the functions come from: packages to deploy, or functions that are deployed already. */
export abstract class FunctionSource {
    /**
     * Packages in a folder, as `make package` writes them to `target/lambda`.
     *
     * The CDK uploads a package as an asset, and only those that the app needs. The functions get
     * the architecture for which their packages were built.
     * @param folder the folder that contains `rotation-postgres/bootstrap.zip` and the others
     */
    public static fromFolder(folder: string): FunctionSource {
        return new FolderSource(folder);
    }

    /**
     * Packages in an S3 bucket of the stack's Region, with the same names as in a folder.
     *
     * CloudFormation updates a function only if the key changes, so use another prefix for each
     * version.
     * @param bucket the bucket
     * @param prefix beginning of the keys, such as `keywheel/0.1.0/`
     */
    public static fromBucket(bucket: s3.IBucket, prefix: string = ""): FunctionSource {
        return new BucketSource(bucket, prefix);
    }

    /**
     * Functions of a stack that was deployed with `template.yaml`, in the same account and Region.
     *
     * Their VPC, keys, master secret and settings are the parameters of that stack.
     * @param functionName the stack's parameter `functionName`
     */
    public static fromDeployedTemplate(functionName: string = "secrets-rotation"): FunctionSource {
        return new TemplateStackSource(functionName);
    }

    /**
     * Functions that are deployed already. Their VPC, keys and settings are their own.
     * @param arns the ARN for each function that the app needs, such as `PostgreSQLSingleUser`
     */
    public static fromArns(arns: { [functionName: string]: string }): FunctionSource {
        return new ArnSource(arns);
    }

    /**
     * Returns the package or the ARN of a function of the template.
     * @internal
     */
    public abstract _bind(scope: Construct, name: string, architecture?: string): BoundSource;
}

/** The code of a function, or the ARN of a deployed one. */
export type BoundSource =
    | { readonly code: lambda.CfnFunction.CodeProperty; readonly architecture?: string }
    | { readonly arn: string };

class FolderSource extends FunctionSource {
    constructor(private readonly folder: string) {
        super();
    }

    public _bind(scope: Construct, name: string, architecture?: string): BoundSource {
        const path = join(this.folder, templateFunction(name).binary, "bootstrap.zip");
        if (!existsSync(path)) {
            throw new Error(`could not find the package ${path}: create it with make package`);
        }
        const built = architectureOf(path);
        if (architecture && built !== architecture) {
            throw new Error(
                `the package ${path} was built for ${built}, and the setting architecture is ` +
                    `${architecture}: use make package ARCH=${architecture}, or remove the setting`,
            );
        }
        const asset = new assets.Asset(scope, "Code", { path });
        const code = { s3Bucket: asset.s3BucketName, s3Key: asset.s3ObjectKey };
        return { code, architecture: built };
    }
}

class BucketSource extends FunctionSource {
    constructor(
        private readonly bucket: s3.IBucket,
        private readonly prefix: string,
    ) {
        super();
    }

    public _bind(_scope: Construct, name: string): BoundSource {
        const s3Key = `${this.prefix}${templateFunction(name).binary}/bootstrap.zip`;
        return { code: { s3Bucket: this.bucket.bucketName, s3Key } };
    }
}

class TemplateStackSource extends FunctionSource {
    constructor(private readonly functionName: string) {
        super();
    }

    public _bind(scope: Construct, name: string): BoundSource {
        const resourceName = `${this.functionName}-${name}`;
        const parts = { service: "lambda", resource: "function", resourceName };
        return {
            arn: Stack.of(scope).formatArn({ ...parts, arnFormat: ArnFormat.COLON_RESOURCE_NAME }),
        };
    }
}

class ArnSource extends FunctionSource {
    constructor(private readonly arns: { [name: string]: string }) {
        super();
    }

    public _bind(_scope: Construct, name: string): BoundSource {
        if (!this.arns[name]) throw new Error(`there is no ARN for the function ${name}`);
        return { arn: this.arns[name] };
    }
}
