import { Token } from "aws-cdk-lib";
import type { RotationSettings } from "./generated/settings";
import * as template from "./generated/template.json";
import type { Json, ParameterValue } from "./evaluate";

/** A parameter of the template, with its rules. */
interface Parameter {
    readonly Type: string;
    readonly Default?: ParameterValue;
    readonly AllowedValues?: ParameterValue[];
    readonly AllowedPattern?: string;
    readonly MinValue?: number;
    readonly MaxValue?: number;
}

/** A function of the template, with the resources that it needs. */
export interface TemplateFunction {
    /** The program in the function's package, such as `rotation-postgres`. */
    readonly binary: string;
    /** The parameters that the function's resources use. */
    readonly parameters: string[];
    readonly resources: { readonly [name: string]: TemplateResource };
}

/** A resource of the template, and what happens to it if it is removed or replaced. */
export interface TemplateResource {
    readonly Type: string;
    readonly DeletionPolicy?: string;
    readonly UpdateReplacePolicy?: string;
    readonly Properties: Json;
}

const PARAMETERS: { [name: string]: Parameter } = template.parameters;
const FUNCTIONS = template.functions as unknown as { [name: string]: TemplateFunction };

export const CONDITIONS = template.conditions as unknown as { [name: string]: Json };
export const PARAMETER_TYPES = Object.fromEntries(
    Object.entries(PARAMETERS).map(([name, it]) => [name, it.Type]),
);

/** Returns a function of the template, such as `PostgreSQLSingleUser`. */
export function templateFunction(name: string): TemplateFunction {
    const found = FUNCTIONS[name];
    if (!found) throw new Error(`could not find the function ${name} in the template`);
    return found;
}

/** Returns whether the template has a parameter of this name. */
export function isParameter(name: string): boolean {
    return name in PARAMETERS;
}

/** Converts settings to values of parameters. */
export function settingValues(settings: RotationSettings = {}): { [name: string]: ParameterValue } {
    return Object.fromEntries(
        Object.entries(settings)
            .filter(([, value]) => value !== undefined)
            .map(([name, value]) => [name, typeof value === "boolean" ? String(value) : value]),
    );
}

/** Adds the defaults of the template to the given values, and checks every value. */
export function parameterValues(given: { [name: string]: ParameterValue }) {
    for (const [name, value] of Object.entries(given)) {
        if (!isParameter(name)) throw new Error(`there is no setting ${name}`);
        const problem = problemOf(PARAMETERS[name], value);
        if (problem) throw new Error(`the setting ${name} is ${JSON.stringify(value)}: ${problem}`);
    }
    const defaults = Object.entries(PARAMETERS).map(([name, it]) => [name, it.Default ?? ""]);
    return { ...Object.fromEntries(defaults), ...given };
}

/** Returns why a parameter rejects a value. Only CloudFormation can check a token. */
function problemOf(parameter: Parameter, value: ParameterValue): string | undefined {
    if (Token.isUnresolved(value)) return undefined;
    const { AllowedValues, AllowedPattern, MinValue, MaxValue } = parameter;
    if (AllowedValues && !AllowedValues.map(String).includes(String(value))) {
        return `use one of ${AllowedValues.join(", ")}`;
    }
    if (AllowedPattern && !new RegExp(`^(?:${AllowedPattern})$`).test(String(value))) {
        return `use a value that matches ${AllowedPattern}`;
    }
    if (MinValue !== undefined && Number(value) < MinValue) return `use at least ${MinValue}`;
    if (MaxValue !== undefined && Number(value) > MaxValue) return `use at most ${MaxValue}`;
    return undefined;
}
