import {
    CfnResource,
    Fn,
    IResolvable,
    Intrinsic,
    Reference,
    Stack,
    Token,
    Tokenization,
} from "aws-cdk-lib";

/** A value of a template's parameter: a literal or a token. */
export type ParameterValue = string | number;

/** A value of a template in JSON. */
export type Json = null | string | number | boolean | Json[] | { [key: string]: Json };

/** What an expression can refer to. */
export interface Scope {
    readonly stack: Stack;
    readonly parameters: { readonly [name: string]: ParameterValue };
    /** The types of the parameters, such as `CommaDelimitedList`. */
    readonly types: { readonly [name: string]: string };
    readonly conditions: { readonly [name: string]: Json };
    /** Returns the value of `Ref` for a resource, or of `Fn::GetAtt` with an attribute. */
    resource(name: string, attribute?: string): string;
}

/**
 * Evaluates the intrinsic functions of a template, with the values of its parameters.
 *
 * The result has no condition of the template: a parameter is either a literal, or a token that is
 * not empty when it is deployed. `undefined` is `AWS::NoValue`.
 */
export function evaluate(value: Json, scope: Scope): any {
    if (Array.isArray(value)) {
        return value.map((item) => evaluate(item, scope)).filter((item) => item !== undefined);
    }
    if (value === null || typeof value !== "object") return value;
    const keys = Object.keys(value);
    if (keys.length === 1 && (keys[0] === "Ref" || keys[0].startsWith("Fn::"))) {
        return evaluateFunction(keys[0], value[keys[0]], scope);
    }
    const entries = keys.map((key) => [key, evaluate(value[key], scope)]);
    return Object.fromEntries(entries.filter(([, item]) => item !== undefined));
}

function evaluateFunction(name: string, argument: any, scope: Scope): any {
    switch (name) {
        case "Ref":
            return reference(argument, scope);
        case "Fn::GetAtt":
            return scope.resource(argument[0], argument[1]);
        case "Fn::Sub":
            return substitute(argument, scope);
        case "Fn::Join": {
            const parts = evaluate(argument[1], scope);
            // The items of a list that is a token are known only when it is deployed.
            return Token.isUnresolved(parts)
                ? Fn.join(argument[0], parts)
                : parts.join(argument[0]);
        }
        case "Fn::Split":
            return split(argument[0], evaluate(argument[1], scope), scope);
        case "Fn::If":
            return evaluate(argument[condition(argument[0], scope) ? 1 : 2], scope);
        default:
            throw new Error(`could not evaluate ${name}: the library does not know this function`);
    }
}

function condition(name: string, scope: Scope): boolean {
    if (!(name in scope.conditions)) throw new Error(`could not find the condition ${name}`);
    return holds(scope.conditions[name], scope);
}

function holds(expression: any, scope: Scope): boolean {
    const [name, argument] = Object.entries<any>(expression)[0];
    switch (name) {
        case "Condition":
            return condition(argument, scope);
        case "Fn::Equals": {
            const [left, right] = argument.map((it: Json) => evaluate(it, scope));
            return String(left) === String(right);
        }
        case "Fn::Not":
            return !holds(argument[0], scope);
        case "Fn::And":
            return argument.every((it: any) => holds(it, scope));
        case "Fn::Or":
            return argument.some((it: any) => holds(it, scope));
        default:
            throw new Error(`could not evaluate ${name}: the library does not know this condition`);
    }
}

function reference(name: string, scope: Scope): any {
    switch (name) {
        case "AWS::NoValue":
            return undefined;
        case "AWS::Partition":
            return scope.stack.partition;
        case "AWS::Region":
            return scope.stack.region;
        case "AWS::AccountId":
            return scope.stack.account;
        case "AWS::URLSuffix":
            return scope.stack.urlSuffix;
    }
    if (!(name in scope.parameters)) return scope.resource(name);
    const value = scope.parameters[name];
    if (scope.types[name] === "CommaDelimitedList") {
        return value === "" ? [] : split(",", String(value), scope);
    }
    return value;
}

/**
 * Splits a text, as `Fn::Split` does.
 *
 * A token can contain the separator, such as a parameter of the stack that is a list. Then the text
 * is split when it is deployed.
 */
function split(separator: string, text: string, scope: Scope): string[] {
    const tokens = Tokenization.reverseString(text).tokens;
    // The CDK writes a token into a text as "${Token[NAME.1]}".
    const isInMarker = tokens.length > 0 && /^[\w.${}[\]-]*$/.test(separator);
    if (isInMarker || tokens.some((token) => !isOneName(token, scope))) {
        return Fn.split(separator, text);
    }
    return text.split(separator);
}

/** Returns whether a token is the name or an attribute of a resource, or of the deployment. */
function isOneName(token: IResolvable, scope: Scope): boolean {
    if (Reference.isReference(token)) {
        return CfnResource.isCfnResource(token.target) || isPseudoParameter(token.displayName);
    }
    return token instanceof Intrinsic && isPseudoParameter(scope.stack.resolve(token)?.Ref);
}

function isPseudoParameter(name?: string): boolean {
    return name !== undefined && /^AWS::(Partition|Region|AccountId|URLSuffix)$/.test(name);
}

function substitute(argument: any, scope: Scope): string {
    const [text, own] = Array.isArray(argument) ? argument : [argument, {}];
    return text.replace(/\$\{(!?)([^}]+)\}/g, (_: string, literal: string, name: string) => {
        if (literal) return `\${${name}}`;
        if (name in own) return evaluate(own[name], scope);
        const [resource, attribute] = name.split(/\.(.*)/s);
        return attribute ? scope.resource(resource, attribute) : String(reference(name, scope));
    });
}
