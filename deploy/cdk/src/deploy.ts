import { Construct } from "constructs";
import type { ParameterValue } from "./evaluate";
import { FunctionSource } from "./function-source";
import { Deployed, createResources } from "./resources";

/** Deploys a function of the template, unless the source has deployed functions. */
export function deploy(
    scope: Construct,
    name: string,
    source: FunctionSource,
    given: { [name: string]: ParameterValue | undefined },
): Deployed {
    const values: { [name: string]: ParameterValue } = {};
    for (const [key, value] of Object.entries(given)) {
        if (value !== undefined) values[key] = value;
    }
    const bound = source._bind(scope, name, values.architecture as string | undefined);
    if ("arn" in bound) return { arn: bound.arn, fixedArn: bound.arn };
    if (bound.architecture) values.architecture = bound.architecture;
    return createResources(scope, name, bound.code, values);
}
